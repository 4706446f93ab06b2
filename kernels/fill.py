"""Weights into their places in a packed chain: all of them, or those of the features that changed."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sleepdefense.kernels._jit import Integer, kernel
from sleepdefense.kernels._lanes import LANES, PATTERN_BITS
from sleepdefense.kernels.chain import ChainLayer
from sleepdefense.kernels.extent import HIGHEST, LOWEST, Numbers, rounded_to_bytes
from sleepdefense.kernels.pack import (
    CHANNELS,
    FIRST_BLOCK,
    FIRST_FEATURE,
    FIRST_WEIGHT,
    IS_NARROW,
    KERNEL_H,
    KERNEL_W,
    NUM_PATTERNS,
    NUM_ROWS,
    OUT_WORDS,
    UNIT,
    WORDS,
    PackedChain,
    aligned,
    make_table,
)

_WORD_REACH: Final = 2**16


def pack_chain(
    layers: Sequence[ChainLayer],
    shapes: Sequence[tuple[int, int, int]],
    extents: Sequence[NDArray[np.int64]],
    numbers: Numbers,
) -> PackedChain:
    """Copy the chain into flat arrays. The layers stay as they are.

    Args:
        layers: First to last.
        shapes: From `chain_shapes`.
        extents: From `extent_of`.
        numbers: From `choose_numbers`; for bytes, the layers are rounded first.
    """
    is_byte = numbers.weight == np.uint8
    if is_byte:
        layers = [rounded_to_bytes(layer) for layer in layers]
    table = make_table(layers, shapes, byte=is_byte)
    last = table[-1]
    num_blocks = int(last[FIRST_BLOCK] + last[OUT_WORDS])
    num_weights = int(last[FIRST_WEIGHT] + last[OUT_WORDS] * (last[NUM_ROWS] + 1) * LANES)
    kind = np.dtype(numbers.membrane)
    beyond_reach = np.inf if kind.kind == "f" else np.iinfo(kind).max
    chain = PackedChain(
        table=table,
        weight=aligned(num_weights, numbers.weight),
        pattern=aligned(int(table[0, OUT_WORDS] * table[0, NUM_PATTERNS] * LANES), kind),
        low=np.zeros(num_blocks, dtype=kind),
        bias=np.zeros(num_blocks * LANES, dtype=kind),
        threshold=np.full(num_blocks * LANES, beyond_reach, dtype=kind),
    )
    for number, (layer, extent) in enumerate(zip(layers, extents, strict=True)):
        row = table[number]
        first, count = int(row[FIRST_FEATURE]), len(layer.weight)
        scale = layer.pool[0] * layer.pool[1] / int(row[UNIT])  # a power of two
        chain.bias[first : first + count] = layer.bias * scale
        chain.threshold[first : first + count] = layer.threshold * scale
        pack_features_(chain, number, layer, extent, range(count))
    return chain


def pack_features_(
    chain: PackedChain,
    number: int,
    layer: ChainLayer,
    extent: NDArray[np.int64],
    features: Sequence[int],
) -> None:
    """Copy the weights of some features, or all, to their places.

    Unsigned weights lie above the lowest weight of their block. Where that sinks, the block is written anew.
    """
    row = chain.table[number]
    unit = int(row[UNIT])
    if chain.weight.dtype.kind == "u":
        features = _with_sunken_blocks_(chain, row, extent, features)
        first, blocks = int(row[FIRST_BLOCK]), int(row[OUT_WORDS])
        span = int(np.max(extent[:, HIGHEST])) // unit - int(np.min(chain.low[first : first + blocks]))
        row[IS_NARROW] = 4 * span < _WORD_REACH
    wanted = np.asarray(features, dtype=np.int64)
    _pack_weights_(chain.weight, chain.low, layer.weight, wanted, row, unit, chain.weight.dtype.kind == "u")
    if row[NUM_PATTERNS] > 0:
        _pack_patterns_(chain.pattern, layer.weight, wanted, row, unit)


def _with_sunken_blocks_(
    chain: PackedChain, row: NDArray[np.int64], extent: NDArray[np.int64], features: Sequence[int]
) -> Sequence[int]:
    """Lower the lowest weight of blocks where it must be, and add all their features to the list."""
    wanted = set(features)
    for block in sorted({feature // LANES for feature in features}):
        some = range(block * LANES, min((block + 1) * LANES, len(extent)))
        low = int(np.min(extent[some.start : some.stop, LOWEST])) // int(row[UNIT])
        if low < chain.low[int(row[FIRST_BLOCK]) + block]:
            chain.low[int(row[FIRST_BLOCK]) + block] = low
            wanted.update(some)
    return sorted(wanted)


@kernel
def _pack_weights_(
    packed: NDArray[Any],
    low: NDArray[Any],
    weight: NDArray[np.int32],
    features: NDArray[np.int64],
    row: NDArray[np.int64],
    unit: Integer,
    is_raised: bool,
) -> None:
    """Write weight (feature, channel, kernel_h, kernel_w) into the rows of the blocks of the features."""
    for i in range(features.size):
        feature = features[i]
        block, lane = feature // LANES, feature % LANES
        begin = row[FIRST_WEIGHT] + block * (row[NUM_ROWS] + 1) * LANES
        least = np.int64(0)
        if is_raised:
            lane = 2 * lane if lane < 32 else 2 * lane - 63
            least = np.int64(low[row[FIRST_BLOCK] + block])
        for ky in range(row[KERNEL_H]):
            for kx in range(row[KERNEL_W]):
                at = begin + (ky * row[KERNEL_W] + kx) * row[WORDS] * LANES * LANES + lane
                for channel in range(row[CHANNELS]):
                    packed[at + channel * LANES] = weight[feature, channel, ky, kx] // unit - least


def _pack_patterns_(
    table: NDArray[Any],
    weight: NDArray[np.int32],
    features: NDArray[np.int64],
    row: NDArray[np.int64],
    unit: int,
) -> None:
    """Write, for each channel, kernel row and group of pixels, the sums of all patterns."""
    kernel_w = int(row[KERNEL_W])
    patterns = np.arange(1 << PATTERN_BITS)
    bits = patterns >> np.arange(PATTERN_BITS)[:, None] & 1  # (bit, pattern)
    filled = -(-kernel_w // PATTERN_BITS) * PATTERN_BITS
    padded = np.zeros((len(features), *weight.shape[1:3], filled), dtype=np.int64)
    padded[..., :kernel_w] = weight[features] // unit
    sums = padded.reshape(len(features), -1, PATTERN_BITS) @ bits  # (feature, group, pattern)
    rows = table.reshape(-1, int(row[NUM_PATTERNS]), LANES)
    rows[features // LANES, :, features % LANES] = sums.reshape(len(features), -1)
