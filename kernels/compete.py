"""Winners among the neurons that fire in one step, from masks and membranes.

The same winners as `select_winners`, found without a list of candidates: the best potential of each position
is looked up once, and again only where its neuron was inhibited in the meantime.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sleepdefense.kernels._jit import Integer, part
from sleepdefense.kernels._lanes import LANES, equal_bits, largest, lowest_bit
from sleepdefense.kernels.pack import OUT_HEIGHT, OUT_WIDTH, OUT_WORDS

_NOBODY = np.uint64(0)
_ONE = np.uint64(1)


@part
def _best_at(
    mask: NDArray[np.uint64],
    first_mask: Integer,
    kept: NDArray[Any],
    first_kept: Integer,
    used: NDArray[np.uint64],
    position: Integer,
    num_words: Integer,
    low: Any,
) -> Any:
    """Return the highest potential at a position, of features that have not won; `low` if there is none."""
    best = low
    for word in range(num_words):
        at = position * num_words + word
        free = mask[first_mask + at] & ~used[word]
        if free != _NOBODY:
            best = max(best, largest(kept, first_kept + at * LANES, free, low))
    return best


@part
def _first_feature(
    mask: NDArray[np.uint64],
    first_mask: Integer,
    kept: NDArray[Any],
    first_kept: Integer,
    used: NDArray[np.uint64],
    position: Integer,
    num_words: Integer,
    wanted: Any,
) -> Integer:
    """Return the lowest feature of this potential at a position, of those that have not won; -1: none."""
    for word in range(num_words):
        at = position * num_words + word
        free = mask[first_mask + at] & ~used[word]
        if free != _NOBODY:
            free &= equal_bits(kept, first_kept + at * LANES, wanted)
            if free != _NOBODY:
                place: Integer = word * LANES + lowest_bit(free)
                return place
    return np.int64(-1)


@part
def _block_(
    blocked: NDArray[np.bool_],
    best: NDArray[Any],
    shape: NDArray[np.int64],
    place: Integer,
    radius: Integer,
    low: Any,
) -> None:
    """Inhibit the window around a position."""
    height, width = shape[OUT_HEIGHT], shape[OUT_WIDTH]
    row, column = place // width, place % width
    for y in range(max(0, row - radius), min(height, row + radius + 1)):
        for x in range(max(0, column - radius), min(width, column + radius + 1)):
            blocked[y * width + x] = True
            best[y * width + x] = low


@part
def compete_(
    winner: NDArray[np.int32],
    num_winners: Integer,
    most: Integer,
    radius: Integer,
    step: Integer,
    mask: NDArray[np.uint64],
    first_mask: Integer,
    kept: NDArray[Any],
    first_kept: Integer,
    used: NDArray[np.uint64],
    blocked: NDArray[np.bool_],
    best: NDArray[Any],
    shape: NDArray[np.int64],
    low: Any,
) -> Integer:
    """Add winners of this step behind those there are, until there are `most`; return how many.

    `used` and `blocked` hold the inhibition so far. Potentials are those after the reset, which all lie lower
    by the same threshold.
    """
    num_words, width = shape[OUT_WORDS], shape[OUT_WIDTH]
    num_positions = shape[OUT_HEIGHT] * width
    for position in range(num_positions):
        if blocked[position]:
            best[position] = low
        else:
            best[position] = _best_at(mask, first_mask, kept, first_kept, used, position, num_words, low)
    while num_winners < most:
        highest = low
        for position in range(num_positions):
            highest = max(highest, best[position])
        if highest == low:
            break
        place = np.int64(0)
        found: Integer = np.int64(-1)
        for position in range(num_positions):
            if best[position] == highest:
                feature = _first_feature(
                    mask, first_mask, kept, first_kept, used, position, num_words, highest
                )
                if feature < 0:  # it has won elsewhere
                    best[position] = _best_at(
                        mask, first_mask, kept, first_kept, used, position, num_words, low
                    )
                elif found < 0 or feature < found:
                    found, place = feature, np.int64(position)
        if found < 0:
            continue
        winner[num_winners, 0] = found
        winner[num_winners, 1] = place // width
        winner[num_winners, 2] = place % width
        winner[num_winners, 3] = step
        num_winners += 1
        used[found // LANES] |= _ONE << np.uint64(found % LANES)
        if radius > 0:
            _block_(blocked, best, shape, place, radius, low)
    return num_winners
