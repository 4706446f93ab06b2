"""Winners among the neurons that fire in one step, from masks and membranes.

The same winners as `select_winners`, found without a list of candidates: the best potential of each position
is noted as it fires, and looked up only where it is the highest of all.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sleepdefense.kernels._jit import Integer, part
from sleepdefense.kernels._lanes import LANES, equal_bits, largest, lowest_bit
from sleepdefense.kernels.pack import FIRST_MASK, OUT_HEIGHT, OUT_WIDTH, OUT_WORDS
from sleepdefense.kernels.recall import Past, find_potentials_

_NOBODY = np.uint64(0)
_ONE = np.uint64(1)
_ALL = np.uint64(2**64 - 1)


@part
def _best_at(
    mask: NDArray[np.uint64],
    first_mask: Integer,
    kept: NDArray[Any],
    first_kept: Integer,
    used: NDArray[np.uint64],
    num_words: Integer,
    low: Any,
) -> Any:
    """Return the highest potential at a position, of features that have not won; `low` if there is none."""
    best = low
    for word in range(num_words):
        free = mask[first_mask + word] & ~used[word]
        if free != _NOBODY:
            best = max(best, largest(kept, first_kept + word * LANES, free, low))
    return best


@part
def _first_feature(
    mask: NDArray[np.uint64],
    first_mask: Integer,
    kept: NDArray[Any],
    first_kept: Integer,
    used: NDArray[np.uint64],
    num_words: Integer,
    wanted: Any,
) -> Integer:
    """Return the lowest feature of this potential at a position, of those that have not won; -1: none."""
    for word in range(num_words):
        free = mask[first_mask + word] & ~used[word]
        if free != _NOBODY:
            free &= equal_bits(kept, first_kept + word * LANES, wanted)
            if free != _NOBODY:
                place: Integer = word * LANES + lowest_bit(free)
                return place
    return np.int64(-1)


@part
def _block_(
    blocked: NDArray[np.bool_],
    best: NDArray[Any],
    shape: NDArray[np.int64],
    position: Integer,
    radius: Integer,
    low: Any,
) -> None:
    """Inhibit the window around a position."""
    height, width = shape[OUT_HEIGHT], shape[OUT_WIDTH]
    row, column = position // width, position % width
    for y in range(max(0, row - radius), min(height, row + radius + 1)):
        for x in range(max(0, column - radius), min(width, column + radius + 1)):
            blocked[y * width + x] = True
            best[y * width + x] = low


@part
def _find_tops_(
    best: NDArray[Any],
    top: NDArray[Any],
    mask: NDArray[np.uint64],
    first_mask: Integer,
    step: Integer,
    used: NDArray[np.uint64],
    blocked: NDArray[np.bool_],
    shape: NDArray[np.int64],
    low: Any,
) -> None:
    """Write the highest potential of each position that is free; it may be that of a feature that has won."""
    num_words, num_positions = shape[OUT_WORDS], shape[OUT_HEIGHT] * shape[OUT_WIDTH]
    first_top = step * num_positions * num_words
    for position in range(num_positions):
        highest = low
        if not blocked[position]:
            for word in range(num_words):
                at = position * num_words + word
                if mask[first_mask + at] & ~used[word] != _NOBODY:
                    highest = max(highest, top[first_top + at])
        best[position] = highest
    for position in range(num_positions, (num_positions + LANES - 1) // LANES * LANES):
        best[position] = low


@part
def compete_(
    winner: NDArray[np.int32],
    num_winners: Integer,
    most: Integer,
    radius: Integer,
    past: Past,
    used: NDArray[np.uint64],
    blocked: NDArray[np.bool_],
    best: NDArray[Any],
    shape: NDArray[np.int64],
    span: tuple[Integer, Integer, Integer, Integer],
    step: Integer,
    first: Integer,
    low: Any,
) -> Integer:
    """Add winners of a step of the span behind those there are, until there are `most`; return how many.

    `used` and `blocked` hold the inhibition so far; `best`, for each position and up to a multiple of 64, the
    highest potential that can still win, or `low`; until a position is looked at, the highest that fired.
    Potentials are those after the reset, which all lie lower by the same threshold. `first` is the first step
    of the span in the image.
    """
    num_words, width = shape[OUT_WORDS], shape[OUT_WIDTH]
    num_positions = shape[OUT_HEIGHT] * width
    num_parts = (num_positions + LANES - 1) // LANES
    mask, kept = past.mask, past.kept
    first_mask = shape[FIRST_MASK] * span[2] + (span[0] + step) * num_positions * num_words
    _find_tops_(best, past.top, mask, first_mask, step, used, blocked, shape, low)
    while num_winners < most:
        highest = low
        for part_of in range(num_parts):
            highest = max(highest, largest(best, part_of * LANES, _ALL, low))
        if highest == low:
            break
        found, place = np.int64(-1), np.int64(0)
        for part_of in range(num_parts):
            equal = equal_bits(best, part_of * LANES, highest)
            while equal != _NOBODY:
                here = part_of * LANES + lowest_bit(equal)
                equal &= equal - _ONE
                masks, at = first_mask + here * num_words, find_potentials_(past, shape, span, step, here)
                feature = _first_feature(mask, masks, kept, at, used, num_words, highest)
                if feature < 0:  # it has won elsewhere
                    best[here] = _best_at(mask, masks, kept, at, used, num_words, low)
                elif found < 0 or feature < found:
                    found, place = np.int64(feature), np.int64(here)
        if found < 0:
            continue
        winner[num_winners, 0] = found
        winner[num_winners, 1] = place // width
        winner[num_winners, 2] = place % width
        winner[num_winners, 3] = first + step
        num_winners += 1
        used[found // LANES] |= _ONE << np.uint64(found % LANES)
        if radius > 0:
            _block_(blocked, best, shape, place, radius, low)
    return num_winners
