"""What a worker counts, and how it is emptied.

A winner adds a bit to each of its synapses. Bits are gathered first, those of 64 visible units in a word:
four words are the binary digits of 64 counts, to which a word of bits is added by carrying,

    digit[p], carry  <-  digit[p] xor carry,  digit[p] and carry            p = 0, 1, 2, 3

That touches an eighth of the memory of 64 counts of 32 bits. Before a count could pass 15, the digits are
added to the counts.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sleepdefense.kernels._jit import Integer, kernel, part
from sleepdefense.kernels._lanes import LANES, add_bits_
from sleepdefense.kernels.pack import (
    FEATURES,
    FIRST_COUNT,
    FIRST_FEATURE,
    FIRST_HIT,
    NUM_ROWS,
    OUT_HEIGHT,
    OUT_WIDTH,
    OUT_WORDS,
    PackedChain,
)

DIGITS: Final = 4
"""Binary digits of a count in the planes."""

_FULL: Final = 2**DIGITS - 1
_NOTHING = np.uint64(0)


class Tally(NamedTuple):
    """What one worker has counted so far."""

    potentiation: NDArray[np.int32]
    """Per layer: see `pairings.py`."""
    digits: NDArray[np.uint64]
    """Per layer (feature, digit, word): what winners added since."""
    waiting: NDArray[np.int64]
    """(feature,): how many winners those were."""
    hits: NDArray[np.int32]
    """Per layer (row, column, feature): how often this neuron learned."""
    spike_count: NDArray[np.int64]
    """(layer,)."""


def empty_tally(chain: PackedChain, *, learns: bool) -> Tally:
    """Begin to count; nothing is reserved where nobody learns."""
    last = chain.table[-1]
    neurons = last[FIRST_HIT] + last[OUT_HEIGHT] * last[OUT_WIDTH] * last[OUT_WORDS] * LANES
    weights = int(last[FIRST_COUNT] + last[OUT_WORDS] * LANES * last[NUM_ROWS]) if learns else 0
    return Tally(
        potentiation=np.zeros(weights, dtype=np.int32),
        digits=np.zeros(weights // LANES * DIGITS, dtype=np.uint64),
        waiting=np.zeros(len(chain.bias), dtype=np.int64),
        hits=np.zeros(int(neurons) if learns else 0, dtype=np.int32),
        spike_count=np.zeros(len(chain.table), dtype=np.int64),
    )


@part
def first_digit(shape: NDArray[np.int64], feature: Integer) -> Integer:
    """Return the place of the lowest digit of the first word of a feature."""
    place: Integer = (shape[FIRST_COUNT] + feature * shape[NUM_ROWS]) // LANES * DIGITS
    return place


@part
def add_words_(
    tally: Tally,
    place: Integer,
    seen: NDArray[np.uint64],
    first: Integer,
    count: Integer,
    shape: NDArray[np.int64],
    inverts: bool,
) -> None:
    """Add the bits of seen[first : first + count], or their opposites, to the words from `place` on."""
    digits, words = tally.digits, shape[NUM_ROWS] // LANES
    for i in range(count):
        carry = ~seen[first + i] if inverts else seen[first + i]
        for digit in range(DIGITS):
            at = place + digit * words + i
            before = digits[at]
            digits[at] = before ^ carry
            carry &= before


@part
def note_winner_(tally: Tally, feature: Integer, shape: NDArray[np.int64]) -> None:
    """Take note that the digits of a feature were added to, and empty them before they are too few."""
    here = shape[FIRST_FEATURE] + feature
    tally.waiting[here] += 1
    if tally.waiting[here] == _FULL:
        settle_feature_(tally, feature, shape)


@part
def settle_feature_(tally: Tally, feature: Integer, shape: NDArray[np.int64]) -> None:
    """Add the digits of a feature to its counts."""
    digits, words = tally.digits, shape[NUM_ROWS] // LANES
    first, count = first_digit(shape, feature), shape[FIRST_COUNT] + feature * shape[NUM_ROWS]
    for word in range(first, first + words):
        for digit in range(DIGITS):
            at = word + digit * words
            add_bits_(tally.potentiation, count, digits[at], np.int32(1 << digit))
            digits[at] = _NOTHING
        count += LANES
    tally.waiting[shape[FIRST_FEATURE] + feature] = 0


@kernel
def settle_(tally: Tally, table: NDArray[np.int64]) -> None:
    """Add all digits to the counts."""
    for layer in range(table.shape[0]):
        shape = table[layer]
        for feature in range(shape[FEATURES]):
            if tally.waiting[shape[FIRST_FEATURE] + feature] > 0:
                settle_feature_(tally, feature, shape)
