"""The first layer: its few channels make lists short and tables small, so sums are looked up.

Five neighbouring pixels of a row are one of 32 patterns; the sum of the weights that a pattern drives is one
row of a table (`pack.py`), and a receptive field of 5 x 5 pixels is 5 rows.
"""

import numpy as np
from numpy.typing import NDArray

from sleepdefense.kernels._jit import Integer, part
from sleepdefense.kernels._lanes import PATTERN_BITS, copy_patterns_
from sleepdefense.kernels.pack import (
    CHANNELS,
    HEIGHT,
    KERNEL_H,
    KERNEL_W,
    OUT_HEIGHT,
    OUT_WIDTH,
    PADDING_H,
    PADDING_W,
    STRIDE_H,
    STRIDE_W,
    WIDTH,
)

_NOTHING = np.uint64(0)


@part
def read_patterns_(
    pattern: NDArray[np.uint8],
    first_pattern: Integer,
    pixel: NDArray[np.uint8],
    shape: NDArray[np.int64],
) -> None:
    """Note for each (output column, channel, padded row, group of pixels) the pattern that it sees.

    So the patterns of a receptive field are neighbours, channel by channel. `pixel` is (channel, row,
    column), flat. 64 pixels of a row make a word, which is shifted from column to column. The patterns of the
    rim's rows are zero and stay so.
    """
    width, height, columns, stride = shape[WIDTH], shape[HEIGHT], shape[OUT_WIDTH], shape[STRIDE_W]
    rim_h, rim_w, kernel_w, channels = shape[PADDING_H], shape[PADDING_W], shape[KERNEL_W], shape[CHANNELS]
    groups = (kernel_w + PATTERN_BITS - 1) // PATTERN_BITS
    padded = height + 2 * rim_h
    column_stride, columns_a_word = channels * padded * groups, (64 - PATTERN_BITS) // stride + 1
    for channel in range(channels):
        for row in range(height):
            begin = (channel * height + row) * width
            at = first_pattern + (channel * padded + rim_h + row) * groups
            for group in range(groups):
                bits = min(np.int64(PATTERN_BITS), kernel_w - group * PATTERN_BITS)
                inside = np.uint64((1 << bits) - 1)
                for first in range(0, columns, columns_a_word):
                    left = first * stride + group * PATTERN_BITS - rim_w  # the pixel of the lowest bit
                    word = _NOTHING
                    for x in range(max(np.int64(0), left), min(width, left + 64)):
                        word |= np.uint64(pixel[begin + x]) << np.uint64(x - left)
                    for x in range(first, min(columns, first + columns_a_word)):
                        pattern[at + group + x * column_stride] = word & inside
                        word >>= np.uint64(stride)


@part
def join_patterns_(
    joined: NDArray[np.uint8], pattern: NDArray[np.uint8], first_step: Integer, num_steps: Integer
) -> None:
    """Note which patterns are not empty in some of these steps."""
    size = joined.size
    for i in range(size):
        joined[i] = 0
    for step in range(first_step, first_step + num_steps):
        for i in range(size):
            joined[i] |= pattern[step * size + i]


@part
def lookups_of(shape: NDArray[np.int64]) -> Integer:
    """Return how many patterns of a channel a receptive field has."""
    count: Integer = shape[KERNEL_H] * ((shape[KERNEL_W] + PATTERN_BITS - 1) // PATTERN_BITS)
    return count


@part
def channel_patterns(shape: NDArray[np.int64]) -> Integer:
    """Return how many patterns of an output column a channel has."""
    groups = (shape[KERNEL_W] + PATTERN_BITS - 1) // PATTERN_BITS
    count: Integer = (shape[HEIGHT] + 2 * shape[PADDING_H]) * groups
    return count


@part
def corner_of(shape: NDArray[np.int64], position: Integer) -> Integer:
    """Return the place of the first pattern of a position among those of a step."""
    groups = (shape[KERNEL_W] + PATTERN_BITS - 1) // PATTERN_BITS
    column_stride, row_stride = shape[CHANNELS] * channel_patterns(shape), shape[STRIDE_H] * groups
    row, column = position // shape[OUT_WIDTH], position % shape[OUT_WIDTH]
    place: Integer = row * row_stride + column * column_stride
    return place


@part
def list_patterns_(
    rows: NDArray[np.int32],
    ends: NDArray[np.int32],
    pattern: NDArray[np.uint8],
    joined: NDArray[np.uint8],
    first_step: Integer,
    shape: NDArray[np.int64],
    first_position: Integer,
    num_steps: Integer,
    room: Integer,
) -> Integer:
    """List, for each position and step, the row of each pattern, or none if all are empty."""
    channels, lookups, channel_stride = shape[CHANNELS], lookups_of(shape), channel_patterns(shape)
    num_positions, size = shape[OUT_HEIGHT] * shape[OUT_WIDTH], joined.size
    entry, end = np.int64(0), np.int64(0)
    position = first_position
    while position < num_positions and end <= room:
        corner = corner_of(shape, position)
        some = np.uint8(0)
        for channel in range(channels):
            for i in range(lookups):
                some |= joined[corner + channel * channel_stride + i]
        ends[entry] = end
        for step in range(num_steps):
            if some != 0:
                first = (first_step + step) * size + corner
                for channel in range(channels):
                    table = np.int64(channel * lookups)
                    end = copy_patterns_(rows, end, pattern, first, lookups, table)
                    first += channel_stride
            entry += 1
            ends[entry] = end
        entry += 1
        position += 1
    return position
