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
def _block_(blocked: NDArray[np.bool_], shape: NDArray[np.int64], position: Integer, radius: Integer) -> None:
    """Inhibit the window around a position."""
    height, width = shape[OUT_HEIGHT], shape[OUT_WIDTH]
    row, column = position // width, position % width
    for y in range(max(0, row - radius), min(height, row + radius + 1)):
        for x in range(max(0, column - radius), min(width, column + radius + 1)):
            blocked[y * width + x] = True


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
    place_of: NDArray[np.int32],
    shape: NDArray[np.int64],
    low: Any,
) -> Integer:
    """Add winners of this step behind those there are, until there are `most`; return how many.

    `used` and `blocked` hold the inhibition so far; `best` and `place_of` the positions where somebody can
    still win. Potentials are those after the reset, which all lie lower by the same threshold.
    """
    num_words, width = shape[OUT_WORDS], shape[OUT_WIDTH]
    num_places = np.int64(0)
    for position in range(shape[OUT_HEIGHT] * width):
        if not blocked[position]:
            highest = _best_at(mask, first_mask, kept, first_kept, used, position, num_words, low)
            if highest > low:
                place_of[num_places] = position
                best[num_places] = highest
                num_places += 1
    while num_winners < most:
        first: Integer = np.int64(-1)
        highest, is_tied = low, False
        for i in range(num_places):
            if best[i] > highest:
                first, highest, is_tied = i, best[i], False
            elif best[i] == highest:
                is_tied = True
        if first < 0:
            break
        place = np.int64(place_of[first])
        found: Integer = _first_feature(mask, first_mask, kept, first_kept, used, place, num_words, highest)
        if found < 0:  # it has won elsewhere
            best[first] = _best_at(mask, first_mask, kept, first_kept, used, place, num_words, low)
            continue
        if is_tied:
            for i in range(first + 1, num_places):
                if best[i] == highest:
                    other = np.int64(place_of[i])
                    feature = _first_feature(
                        mask, first_mask, kept, first_kept, used, other, num_words, highest
                    )
                    if feature < 0:
                        best[i] = _best_at(mask, first_mask, kept, first_kept, used, other, num_words, low)
                    elif feature < found:
                        found, place = feature, other
        winner[num_winners, 0] = found
        winner[num_winners, 1] = place // width
        winner[num_winners, 2] = place % width
        winner[num_winners, 3] = step
        num_winners += 1
        used[found // LANES] |= _ONE << np.uint64(found % LANES)
        if radius > 0:
            _block_(blocked, shape, place, radius)
            for i in range(num_places):
                if blocked[place_of[i]]:
                    best[i] = low
    return num_winners
