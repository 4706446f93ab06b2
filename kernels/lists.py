"""From masks of spikes to the lists of weight rows that drive each position.

A code is a visible unit within its row: column * channels + channel, both padded. Codes are listed row by
row, so that those which a kernel row covers are neighbours, whatever the position.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sleepdefense.kernels._jit import Integer, part
from sleepdefense.kernels._lanes import LANES, copy_rows_, count_bits, list_byte_
from sleepdefense.kernels.pack import (
    HEIGHT,
    KERNEL_H,
    KERNEL_W,
    NUM_ROWS,
    OUT_HEIGHT,
    OUT_WIDTH,
    PADDING_H,
    PADDING_W,
    POOL_H,
    POOL_W,
    SOURCE_WIDTH,
    STRIDE_H,
    STRIDE_W,
    WIDTH,
    WORDS,
)

_BYTE = np.uint64(255)
_NOTHING = np.uint64(0)


@part
def _list_row_(
    codes: NDArray[Any],
    place: Integer,
    starts: NDArray[np.int32],
    first_start: Integer,
    mask: NDArray[np.uint64],
    first_mask: Integer,
    num_pixels: Integer,
    num_words: Integer,
    base: Integer,
    bits: NDArray[np.uint8],
) -> Integer:
    """List the spikes of one row of pixels; return the new end."""
    at = first_mask
    for x in range(num_pixels):
        starts[first_start + x] = place
        for _ in range(num_words):
            some = mask[at]
            if some != _NOTHING:
                for byte in range(8):
                    eight = (some >> np.uint64(8 * byte)) & _BYTE
                    list_byte_(codes, place, bits, eight, base + 8 * byte)
                    place += count_bits(eight)
            at += 1
            base += LANES
    return place


@part
def list_spikes_(
    codes: NDArray[Any],
    first_code: Integer,
    starts: NDArray[np.int32],
    first_start: Integer,
    mask: NDArray[np.uint64],
    first_mask: Integer,
    shape: NDArray[np.int64],
    bits: NDArray[np.uint8],
) -> Integer:
    """List the spikes of one step; return the new end.

    Those of padded pixel (y, x) begin at codes[starts[y, x]].

    starts is (padded row, padded column + 1), flat. Behind a pool, a unit of the window is listed for each of
    its spikes: weights are added as often.
    """
    pool_h, pool_w, num_words, source_w = shape[POOL_H], shape[POOL_W], shape[WORDS], shape[SOURCE_WIDTH]
    height, width, rim, left = shape[HEIGHT], shape[WIDTH], shape[PADDING_H], shape[PADDING_W]
    padded, row_words = width + 2 * left + 1, source_w * num_words
    area = pool_h * pool_w
    num_runs, run_length = (np.int64(1), width) if area == 1 else (width * area, np.int64(1))
    place, start, window = first_code, first_start, first_code
    for y in range(-rim, height + rim):
        begin = place
        if y >= 0 and y < height:
            for run in range(num_runs):  # a row of pixels, or each pixel of each window
                x, inside = run // area, run % area
                first = place
                place = _list_row_(
                    codes,
                    place,
                    starts,
                    start + left + x,
                    mask,
                    first_mask
                    + (y * pool_h + inside // pool_w) * row_words
                    + (x * pool_w + inside % pool_w) * num_words,
                    run_length,
                    num_words,
                    (left + x) * num_words * LANES,
                    bits,
                )
                if inside > 0:
                    starts[start + left + x] = window
                else:
                    window = first
            for x in range(left):
                starts[start + x] = begin
            for x in range(left + width, padded):
                starts[start + x] = place
        else:
            for x in range(padded):
                starts[start + x] = place
        start += padded
    return place


@part
def fill_up_(rows: NDArray[np.int32], place: Integer, zeros: np.int32) -> Integer:
    """Append rows of zeros to a multiple of 4; return the new end."""
    for i in range(3):
        rows[place + i] = zeros
    return (place + 3) & ~np.int64(3)


@part
def add_starts_(
    totals: NDArray[np.int32],
    starts: NDArray[np.int32],
    stride: Integer,
    shape: NDArray[np.int64],
    num_steps: Integer,
) -> None:
    """Add up the starts of some steps: where these do not grow, no unit spikes in any of them."""
    size = (shape[HEIGHT] + 2 * shape[PADDING_H]) * (shape[WIDTH] + 2 * shape[PADDING_W] + 1)
    for i in range(size):
        totals[i] = 0
    for step in range(num_steps):
        for i in range(size):
            totals[i] += starts[step * stride + i]


@part
def _is_silent(
    totals: NDArray[np.int32], corner: Integer, padded: Integer, kernel_h: Integer, kernel_w: Integer
) -> bool:
    """Say whether no unit of a receptive field spikes in any of the steps."""
    spikes = np.int32(0)
    for ky in range(kernel_h):
        spikes |= totals[corner + ky * padded + kernel_w] - totals[corner + ky * padded]
    return bool(spikes == 0)


@part
def list_tile_(
    rows: NDArray[np.int32],
    ends: NDArray[np.int32],
    counts: NDArray[np.int32],
    codes: NDArray[Any],
    starts: NDArray[np.int32],
    start_stride: Integer,
    totals: NDArray[np.int32],
    shape: NDArray[np.int64],
    first_position: Integer,
    num_steps: Integer,
    room: Integer,
) -> Integer:
    """List, for each position and step, the weight rows that drive it; return the first position left out.

    Row of the spike of channel c at padded pixel (top + ky, left + kx):

        (ky * kernel_w + kx) * channels + c  =  code + ky * kernel_w * channels - left * channels

    `totals` are the starts of all steps added up. Another position is begun as long as no more than `room`
    rows are listed.
    """
    kernel_h, kernel_w, channels = shape[KERNEL_H], shape[KERNEL_W], shape[WORDS] * LANES
    stride_h, stride_w, width = shape[STRIDE_H], shape[STRIDE_W], shape[OUT_WIDTH]
    num_positions = shape[OUT_HEIGHT] * width
    padded = shape[WIDTH] + 2 * shape[PADDING_W] + 1
    zeros = np.int32(shape[NUM_ROWS] * LANES)
    entry, position = np.int64(0), first_position
    end: Integer = np.int64(0)
    while position < num_positions and end <= room:
        left = position % width * stride_w
        corner = position // width * stride_h * padded + left
        ends[entry] = end
        if _is_silent(totals, corner, padded, kernel_h, kernel_w):
            for _ in range(num_steps):
                counts[entry] = 0
                entry += 1
                ends[entry] = end
            entry += 1
            position += 1
            continue
        for step in range(num_steps):
            begin_list, first = end, step * start_stride + corner
            base = -left * channels * LANES
            for _ in range(kernel_h):
                begin, stop = np.int64(starts[first]), np.int64(starts[first + kernel_w])
                if stop > begin:
                    end = copy_rows_(rows, end, codes, begin, stop - begin, np.int32(base))
                first += padded
                base += kernel_w * channels * LANES
            counts[entry] = end - begin_list
            end = fill_up_(rows, end, zeros)
            entry += 1
            ends[entry] = end
        entry += 1
        position += 1
    return position
