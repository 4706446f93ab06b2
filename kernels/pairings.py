"""What the synapses of learning neurons go through, counted 64 visible units at a time.

The counts are those of `count_pairings_` and `count_coincidences_`, here from masks: a bit says that a
visible unit has spiked so far, or spikes now.
"""

import numpy as np
from numpy.typing import NDArray

from sleepdefense.kernels._jit import Integer, part
from sleepdefense.kernels._lanes import LANES, add_bits_, lowest_bit
from sleepdefense.kernels.pack import (
    FIRST_COUNT,
    FIRST_HIT,
    FIRST_SEEN,
    HEIGHT,
    KERNEL_H,
    KERNEL_W,
    NUM_ROWS,
    OUT_HEIGHT,
    OUT_WIDTH,
    OUT_WORDS,
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
from sleepdefense.kernels.tally import Tally, add_words_, first_digit, note_winner_

_NOBODY = np.uint64(0)
_ONE = np.uint64(1)


@part
def note_visible_(
    seen: NDArray[np.uint64],
    mask: NDArray[np.uint64],
    first_mask: Integer,
    shape: NDArray[np.int64],
    forgets: bool,
) -> None:
    """Note which visible units spike now: in addition to those before, or (`forgets`) instead of them."""
    num_words = shape[WORDS]
    at = shape[FIRST_SEEN]
    if shape[POOL_H] * shape[POOL_W] == 1:
        for i in range(shape[HEIGHT] * shape[WIDTH] * num_words):
            now = mask[first_mask + i]
            seen[at + i] = now if forgets else seen[at + i] | now
        return
    for y in range(shape[HEIGHT]):
        for x in range(shape[WIDTH]):
            for word in range(num_words):
                now = _NOBODY if forgets else seen[at]
                for j in range(shape[POOL_H]):
                    for i in range(shape[POOL_W]):
                        pixel = (y * shape[POOL_H] + j) * shape[SOURCE_WIDTH] + x * shape[POOL_W] + i
                        now |= mask[first_mask + pixel * num_words + word]
                seen[at] = now
                at += 1


@part
def count_winners_(
    tally: Tally,
    seen: NDArray[np.uint64],
    winner: NDArray[np.int32],
    first: Integer,
    last: Integer,
    shape: NDArray[np.int64],
    inverts: bool,
) -> None:
    """Count the pairings of winners [first, last): potentiated is who has been seen (`inverts`: has not).

    potentiation is (feature, kernel_h, kernel_w, channel), flat; hits (row, column, feature).
    """
    num_words, kernel_w = shape[WORDS], shape[KERNEL_W]
    for i in range(first, last):
        feature, row, column = np.int64(winner[i, 0]), np.int64(winner[i, 1]), np.int64(winner[i, 2])
        position = row * shape[OUT_WIDTH] + column
        tally.hits[shape[FIRST_HIT] + position * shape[OUT_WORDS] * LANES + feature] += 1
        top, left = row * shape[STRIDE_H] - shape[PADDING_H], column * shape[STRIDE_W] - shape[PADDING_W]
        begin, end = max(np.int64(0), -left), min(kernel_w, shape[WIDTH] - left)  # what lies inside
        place = first_digit(shape, feature) + begin * num_words
        for y in range(top, top + shape[KERNEL_H]):
            if y >= 0 and y < shape[HEIGHT]:
                unit = shape[FIRST_SEEN] + (y * shape[WIDTH] + left + begin) * num_words
                add_words_(tally, place, seen, unit, (end - begin) * num_words, shape, inverts)
            place += kernel_w * num_words
        note_winner_(tally, feature, shape)


@part
def count_everybody_(
    tally: Tally,
    seen: NDArray[np.uint64],
    mask: NDArray[np.uint64],
    first_mask: Integer,
    shape: NDArray[np.int64],
) -> None:
    """Count the coincidences of one step: every neuron that spikes, with every unit `seen` that spikes.

    potentiation is (block, kernel_h, kernel_w, channel, feature of the block), flat: a visible spike is one
    addition for 64 neurons.
    """
    blocks, num_words = shape[OUT_WORDS], shape[WORDS]
    for position in range(shape[OUT_HEIGHT] * shape[OUT_WIDTH]):
        row, column = position // shape[OUT_WIDTH], position % shape[OUT_WIDTH]
        for block in range(blocks):
            fires = mask[first_mask + position * blocks + block]
            if fires == _NOBODY:
                continue
            add_bits_(tally.hits, shape[FIRST_HIT] + (position * blocks + block) * LANES, fires, np.int32(1))
            at = shape[FIRST_COUNT] + block * LANES * shape[NUM_ROWS]
            for ky in range(shape[KERNEL_H]):
                y = row * shape[STRIDE_H] - shape[PADDING_H] + ky
                for kx in range(shape[KERNEL_W]):
                    x = column * shape[STRIDE_W] - shape[PADDING_W] + kx
                    if y >= 0 and y < shape[HEIGHT] and x >= 0 and x < shape[WIDTH]:
                        unit = shape[FIRST_SEEN] + (y * shape[WIDTH] + x) * num_words
                        for word in range(num_words):
                            bits = seen[unit + word]
                            while bits != _NOBODY:
                                row_at = at + (word * LANES + lowest_bit(bits)) * LANES
                                add_bits_(tally.potentiation, row_at, fires, np.int32(1))
                                bits &= bits - _ONE
                    at += num_words * LANES * LANES
