"""The memory of one worker: what it needs for the image at hand, whatever the number of steps."""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sleepdefense.kernels._lanes import BYTE_BITS, LANES, SLACK
from sleepdefense.kernels.pack import (
    CHANNELS,
    FIRST_MASK,
    FIRST_NEURON,
    FIRST_SEEN,
    HEIGHT,
    KERNEL_W,
    NUM_PATTERNS,
    NUM_ROWS,
    OUT_HEIGHT,
    OUT_WIDTH,
    OUT_WORDS,
    PADDING_H,
    PADDING_W,
    POOL_H,
    POOL_W,
    SOURCE_HEIGHT,
    SOURCE_WIDTH,
    WIDTH,
    WORDS,
    PackedChain,
    aligned,
    pattern_groups,
)

CHUNK: Final = 16
"""Steps that a layer runs before the next one does."""

_KEPT: Final = 2**17  # potentials, of as many steps as fit: 512 KB
_ROWS: Final = 2**11  # rows of a tile, beyond what its last position needs
_CODES: Final = 2**16  # spikes that are listed together, of as many steps as fit: 128 KB
_NARROW: Final = 2**16  # codes of 16 bits


class Workspace(NamedTuple):
    """Arrays that are used over and over. Neurons lie (row, column, feature), layer after layer."""

    bound: NDArray[np.uint64]
    """(pixel,): an input unit spikes if its draw is below."""
    pixel: NDArray[np.uint8]
    """(pixel,): input spikes of this step, channel first."""
    pattern: NDArray[np.uint8]
    """(time, ...), flat: see `read_patterns_`; empty if the first layer has no table."""
    joined: NDArray[np.uint8]
    """Of all steps together."""
    membrane: NDArray[Any]
    """(neuron,), filled up to whole blocks."""
    mask: NDArray[np.uint64]
    """Spikes of the chunk: for pixels and for each layer (time, row, column, word)."""
    seen: NDArray[np.uint64]
    """For each layer, the visible units (row, column, word) that have spiked in this image."""
    codes: NDArray[Any]
    """(time, spike), flat, of as many steps as fit."""
    starts: NDArray[np.int32]
    """(time, padded pixel), flat."""
    totals: NDArray[np.int32]
    """(padded pixel,): starts of all steps of a span, added up."""
    rows: NDArray[np.int32]
    """Lists of rows of a tile."""
    ends: NDArray[np.int32]
    """Where they end."""
    counts: NDArray[np.int32]
    """How long they are without what fills them up."""
    top: NDArray[Any]
    """(time, row, column, block): highest potential of those that fire, after the reset."""
    kept: NDArray[Any]
    """(time, neuron): potentials of one layer after the reset."""
    best: NDArray[Any]
    """(position,), up to a multiple of 64: highest potential that can still win."""
    used: NDArray[np.uint64]
    """(layer, word): features that have won."""
    blocked: NDArray[np.bool_]
    """(layer, position): where the inhibition reaches."""
    winner: NDArray[np.int32]
    """(layer, winner, 4)."""
    num_winners: NDArray[np.int64]
    """(layer,)."""
    byte_bits: NDArray[np.uint8]


def make_workspace(chain: PackedChain, most_winners: int, *, learns: bool) -> Workspace:
    """Reserve the memory of one worker."""
    table = chain.table
    first, last = table[0], table[-1]
    area = table[:, POOL_H] * table[:, POOL_W]
    positions = table[:, OUT_HEIGHT] * table[:, OUT_WIDTH]
    sources = table[:, SOURCE_HEIGHT] * table[:, SOURCE_WIDTH] * table[:, WORDS]
    padded_h, padded_w = table[:, HEIGHT] + 2 * table[:, PADDING_H], table[:, WIDTH] + 2 * table[:, PADDING_W]
    lists = slice(1 if first[NUM_PATTERNS] else 0, None)  # layers that use lists
    longest = max(
        CHUNK * (int(first[NUM_PATTERNS]) + 3),
        *(CHUNK * (np.append((table[:, NUM_ROWS] * area)[lists], 0) + 3)),
    )
    num_pixels = int(first[CHANNELS] * first[SOURCE_HEIGHT] * first[SOURCE_WIDTH])
    groups = pattern_groups(int(first[KERNEL_W]))
    num_patterns = first[CHANNELS] * padded_h[0] * groups * first[OUT_WIDTH] if first[NUM_PATTERNS] else 0
    hidden = positions * table[:, OUT_WORDS]
    most_kept = max(_KEPT, *(np.append(hidden[lists], first[OUT_WORDS]) * LANES))
    codes = np.append((sources * LANES)[lists], 0)
    widest = np.append((padded_w * table[:, WORDS] * LANES)[lists], 0)
    entries = int(np.max(positions))
    number = chain.bias.dtype
    return Workspace(
        bound=np.empty(num_pixels, dtype=np.uint64),
        pixel=np.empty(num_pixels, dtype=np.uint8),
        pattern=np.zeros(CHUNK * int(num_patterns) + SLACK, dtype=np.uint8),
        joined=np.zeros(int(num_patterns), dtype=np.uint8),
        membrane=aligned(int(last[FIRST_NEURON] + positions[-1] * last[OUT_WORDS] * LANES), number),
        mask=np.zeros(CHUNK * int(last[FIRST_MASK] + positions[-1] * last[OUT_WORDS]), dtype=np.uint64),
        seen=np.zeros(int(last[FIRST_SEEN] + last[HEIGHT] * last[WIDTH] * last[WORDS]), dtype=np.uint64),
        codes=np.empty(
            max(_CODES, int(np.max(codes)) + SLACK),
            dtype=np.uint16 if np.max(widest) <= _NARROW else np.int32,
        ),
        starts=np.empty(CHUNK * int(np.max(padded_h * (padded_w + 1))), dtype=np.int32),
        totals=np.empty(int(np.max(padded_h * (padded_w + 1))), dtype=np.int32),
        rows=np.empty(_ROWS + int(longest) + SLACK, dtype=np.int32),
        ends=np.zeros(entries * (CHUNK + 1) + 1, dtype=np.int32),
        counts=np.zeros(entries * (CHUNK + 1) + 1, dtype=np.int32),
        top=np.zeros(CHUNK * int(np.max(hidden)) if learns else 0, dtype=number),
        kept=aligned(int(most_kept) if learns else 0, number),
        best=np.empty(-(-entries // LANES) * LANES, dtype=number),
        used=np.zeros((len(table), int(np.max(table[:, OUT_WORDS]))), dtype=np.uint64),
        blocked=np.zeros((len(table), entries), dtype=np.bool_),
        winner=np.empty((len(table), most_winners, 4), dtype=np.int32),
        num_winners=np.zeros(len(table), dtype=np.int64),
        byte_bits=BYTE_BITS,
    )


def size_of(space: Workspace) -> int:
    """Return the size of a workspace, in bytes."""
    return sum(array.nbytes for array in space)
