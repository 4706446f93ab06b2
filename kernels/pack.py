"""The layout of a chain in memory: rows of 64 weights, so that an input spike is one addition of 64 lanes.

Features and channels are filled up to multiples of 64, of which each makes a block or a word. A row holds the
weights from one visible unit of a receptive field to the 64 features of a block; a block is the rows of the
whole field, in the order (kernel_h, kernel_w, channel), and one row of zeros. Spikes are masks: a word of 64
bits for each position and block, in the order (row, column, block).
"""

import contextlib
import mmap
from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from sleepdefense.kernels._checks import LARGEST_STEP, check_pair
from sleepdefense.kernels._lanes import LANES, PATTERN_BITS
from sleepdefense.kernels.chain import ChainLayer

WeightType = Literal["i16", "f32", "i8"]

COLUMNS: Final = [
    "channels",
    "height",
    "width",
    "pool_h",
    "pool_w",
    "source_height",
    "source_width",
    "first_source",
    "words",
    "features",
    "out_height",
    "out_width",
    "out_words",
    "kernel_h",
    "kernel_w",
    "stride_h",
    "stride_w",
    "padding_h",
    "padding_w",
    "num_rows",
    "is_narrow",
    "has_bias",
    "num_patterns",
    "first_weight",
    "first_block",
    "first_feature",
    "first_neuron",
    "first_seen",
    "first_mask",
    "first_count",
    "first_hit",
    "unit",
]
"""What the table of a packed chain says of each layer. Heights, widths: visible pixels, after pooling."""

(
    CHANNELS, HEIGHT, WIDTH, POOL_H, POOL_W, SOURCE_HEIGHT, SOURCE_WIDTH, FIRST_SOURCE, WORDS, FEATURES,
    OUT_HEIGHT, OUT_WIDTH, OUT_WORDS, KERNEL_H, KERNEL_W, STRIDE_H, STRIDE_W, PADDING_H, PADDING_W, NUM_ROWS,
    IS_NARROW, HAS_BIAS, NUM_PATTERNS, FIRST_WEIGHT, FIRST_BLOCK, FIRST_FEATURE, FIRST_NEURON, FIRST_SEEN,
    FIRST_MASK, FIRST_COUNT, FIRST_HIT, UNIT,
) = range(len(COLUMNS))  # fmt: skip

_MOST_PATTERNS: Final = 2048  # rows of the table of a block, 512 KB: beyond that, lists are faster
_HUGE_PAGE: Final = 2**21
_FLOAT_REACH: Final = 2**24
_WORD_REACH: Final = 2**16


class PackedChain(NamedTuple):
    """The chain in flat arrays."""

    table: NDArray[np.int64]
    """(layer, column): see `COLUMNS`."""
    weight: NDArray[Any]
    """Rows of all blocks. Unsigned types hold w - low in the order of features 0, 32, 1, 33, ..."""
    pattern: NDArray[Any]
    """First layer: rows of sums of weights, for each pattern of `PATTERN_BITS` pixels; may be empty."""
    low: NDArray[Any]
    """(block,): what the weights of a block are stored above; 0 for signed types."""
    bias: NDArray[Any]
    """(feature,), in the type of the membranes."""
    threshold: NDArray[Any]
    """(feature,): beyond reach for features that only fill up a block."""


class Numbers(NamedTuple):
    """Types of weights and membranes."""

    weight: DTypeLike
    membrane: DTypeLike


NUMBERS: Final[dict[WeightType, Numbers]] = {
    "i16": Numbers(np.uint16, np.int32),
    "f32": Numbers(np.float32, np.float32),
    "i8": Numbers(np.uint8, np.int32),
}
_WIDE: Final = Numbers(np.int64, np.int64)


def words(channels: int) -> int:
    """Count the words of 64 bits that hold a channel each."""
    return -(-channels // LANES)


def aligned(size: int, dtype: DTypeLike) -> NDArray[Any]:
    """Return zeros that begin at a cache line, on large pages where there are any."""
    item = np.dtype(dtype).itemsize
    memory = mmap.mmap(-1, (size * item // _HUGE_PAGE + 2) * _HUGE_PAGE)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with contextlib.suppress(OSError):  # a kernel without them: a few per cent slower
            memory.madvise(mmap.MADV_HUGEPAGE)
    raw = np.frombuffer(memory, dtype=np.uint8)
    begin = -raw.ctypes.data % _HUGE_PAGE
    array: NDArray[Any] = raw[begin : begin + size * item].view(dtype)
    return array


def reach(layer: ChainLayer, num_steps: int) -> int:
    """Return the largest membrane, without its sign, that a layer can come to.

    In a step a membrane falls by no more than the sum n of its negative weights, and rises by no more than
    the sum p of the positive ones, biases included. Above the threshold it is lowered by it, so

        -T n  <=  V  <=  threshold + p + T max(0, p - threshold)
    """
    positive = np.sum(np.maximum(layer.weight, 0), axis=(1, 2, 3), dtype=np.int64)
    positive += np.maximum(layer.bias, 0)
    negative = np.sum(np.maximum(-layer.weight.astype(np.int64), 0), axis=(1, 2, 3)) + np.maximum(
        -layer.bias.astype(np.int64), 0
    )
    up, down, limit = int(np.max(positive)), int(np.max(negative)), layer.threshold
    highest = limit + up + num_steps * max(0, up - limit)
    return max(highest, num_steps * down) * layer.pool[0] * layer.pool[1]


def choose_numbers(layers: Sequence[ChainLayer], num_steps: int, weight_type: WeightType) -> Numbers:
    """Return the types that hold everything.

    Raises:
        ValueError: No type does, or not the one that is asked for.
    """
    most = max(reach(layer, num_steps) for layer in layers)
    limit = max(layer.threshold * layer.pool[0] * layer.pool[1] for layer in layers)
    if weight_type == "f32":
        if max(most, limit) > _FLOAT_REACH:
            raise ValueError(
                f"a membrane may reach {most} in {num_steps} steps, beyond the 2**24 up to which 'f32' is "
                "exact: take weight_type 'i16', or fewer steps"
            )
        return NUMBERS["f32"]
    if most >= 2**63:
        raise ValueError(f"a membrane may reach {most} in {num_steps} steps, beyond 64 bits: use fewer")
    fits = all(np.array_equal(layer.weight, layer.weight.astype(np.int16)) for layer in layers)
    if fits and max(most, limit) < LARGEST_STEP:
        return NUMBERS[weight_type]
    if weight_type == "i8":
        raise ValueError(
            f"weights beyond 16 bits, or membranes up to {most} in {num_steps} steps, are no case for 'i8': "
            "take weight_type 'i16', which widens by itself"
        )
    return _WIDE


def byte_unit(layer: ChainLayer) -> int:
    """Return the power of two in whose multiples the weights of a layer span at most 255."""
    unit = 1
    while True:
        rounded = np.rint(layer.weight / unit)
        if np.max(rounded, initial=0) - np.min(rounded, initial=0) <= 255:
            return unit
        unit *= 2


def rounded_to_bytes(layer: ChainLayer) -> ChainLayer:
    """Return the layer that "i8" computes: weight, bias and threshold as multiples of `byte_unit`."""
    unit = byte_unit(layer)
    return layer._replace(
        weight=(np.rint(layer.weight / unit) * unit).astype(np.int32),
        bias=(np.rint(layer.bias / unit) * unit).astype(np.int32),
        threshold=max(1, round(layer.threshold / unit)) * unit,
    )


def pack_chain(
    layers: Sequence[ChainLayer],
    shapes: Sequence[tuple[int, int, int]],
    num_steps: int,
    weight_type: WeightType = "i16",
) -> PackedChain:
    """Copy the chain into flat arrays; `shapes` are those of `chain_shapes`. The layers stay as they are."""
    numbers = choose_numbers(layers, num_steps, weight_type)
    if weight_type == "i8":
        layers = [rounded_to_bytes(layer) for layer in layers]
    table = _table(layers, shapes, byte=weight_type == "i8")
    last = table[-1]
    num_blocks = int(last[FIRST_BLOCK] + last[OUT_WORDS])
    chain = PackedChain(
        table=table,
        weight=aligned(
            int(last[FIRST_WEIGHT] + last[OUT_WORDS] * (last[NUM_ROWS] + 1) * LANES), numbers.weight
        ),
        pattern=aligned(int(table[0, OUT_WORDS] * table[0, NUM_PATTERNS] * LANES), numbers.membrane),
        low=np.zeros(num_blocks, dtype=numbers.membrane),
        bias=np.zeros(num_blocks * LANES, dtype=numbers.membrane),
        threshold=np.full(num_blocks * LANES, _beyond_reach(numbers.membrane), dtype=numbers.membrane),
    )
    for number, layer in enumerate(layers):
        pack_features_(chain, number, layer, range(len(layer.weight)))
    return chain


def pack_features_(chain: PackedChain, number: int, layer: ChainLayer, features: Sequence[int]) -> None:
    """Copy weight, bias and threshold of some features, or all, into the blocks they belong to."""
    row = chain.table[number]
    unit, area = int(row[UNIT]), layer.pool[0] * layer.pool[1]
    for block in sorted({feature // LANES for feature in features}):
        some = slice(block * LANES, (block + 1) * LANES)
        weight = layer.weight[some] // unit
        count = len(weight)
        row[IS_NARROW] = row[IS_NARROW] and _is_narrow(weight)  # weights may have grown since all were packed
        begin = int(row[FIRST_FEATURE]) + block * LANES
        chain.bias[begin : begin + count] = layer.bias[some] // unit * area
        chain.threshold[begin : begin + count] = layer.threshold // unit * area
        rows = weight.transpose(2, 3, 1, 0).reshape(-1, count)  # (kernel_h, kernel_w, channel), feature
        rows = _with_rim(rows, layer)
        _pack_block_(chain, row, block, rows)
        if row[NUM_PATTERNS] > 0:
            _pack_patterns_(chain, row, block, weight)


def _table(
    layers: Sequence[ChainLayer], shapes: Sequence[tuple[int, int, int]], *, byte: bool
) -> NDArray[np.int64]:
    table = np.zeros((len(layers), len(COLUMNS)), dtype=np.int64)
    begin = dict.fromkeys(("weight", "block", "neuron", "seen", "mask", "count"), 0)
    source, begin["mask"] = 0, shapes[0][1] * shapes[0][2] * words(shapes[0][0])  # pixels come first
    for number, (layer, before, after) in enumerate(zip(layers, shapes, shapes[1:], strict=False)):
        channels, (height, width) = before[0], pooled(before, layer.pool)
        strides = check_pair("stride", layer.stride, least=1)
        paddings = check_pair("padding", layer.padding, least=0)
        kernel_h, kernel_w = layer.weight.shape[2:]
        fan = kernel_h * kernel_w * words(channels) * LANES
        blocks, positions = words(after[0]), after[1] * after[2]
        patterns = _num_patterns(layer) if number == 0 else 0
        unit = byte_unit(layer) if byte else 1
        table[number] = [
            channels, height, width, *layer.pool, *before[1:], source, words(channels), *after, blocks,
            kernel_h, kernel_w, *strides, *paddings, fan, _is_narrow(layer.weight // unit),
            bool(np.any(layer.bias)), patterns, begin["weight"], begin["block"], begin["block"] * LANES,
            begin["neuron"], begin["seen"], begin["mask"], begin["count"], begin["neuron"], unit,
        ]  # fmt: skip
        begin["weight"] += blocks * (fan + 1) * LANES
        begin["block"] += blocks
        begin["neuron"] += positions * blocks * LANES
        begin["seen"] += height * width * words(channels)
        source = begin["mask"]
        begin["mask"] += positions * blocks
        begin["count"] += blocks * LANES * fan
    return table


def pooled(shape: tuple[int, int, int], pool: tuple[int, int]) -> tuple[int, int]:
    """Return height and width after averaging over windows; a remainder is dropped."""
    return shape[1] // pool[0], shape[2] // pool[1]


def _is_narrow(weight: NDArray[np.int32]) -> bool:
    """Say whether four weights of a block, above the lowest, add up in 16 bits."""
    span = int(np.max(weight, initial=0)) - int(np.min(weight, initial=0))
    return 4 * span < _WORD_REACH


def _num_patterns(layer: ChainLayer) -> int:
    """Count the rows of the table of patterns of a block; 0 where lists are better."""
    if layer.pool != (1, 1):
        return 0
    count = layer.weight.shape[1] * layer.weight.shape[2] * pattern_groups(layer.weight.shape[3])
    rows = count << PATTERN_BITS
    return rows if rows <= _MOST_PATTERNS else 0


def pattern_groups(kernel_w: int) -> int:
    """Count the groups of pixels into which a row of the receptive field is cut."""
    return -(-kernel_w // PATTERN_BITS)


def _beyond_reach(dtype: DTypeLike) -> Any:
    kind = np.dtype(dtype)
    return np.inf if kind.kind == "f" else np.iinfo(kind).max


def _with_rim(rows: NDArray[Any], layer: ChainLayer) -> NDArray[Any]:
    """Fill up each pixel's channels to whole words."""
    channels = layer.weight.shape[1]
    missing = words(channels) * LANES - channels
    if missing == 0:
        return rows
    by_pixel = rows.reshape(-1, channels, rows.shape[1])
    return np.pad(by_pixel, ((0, 0), (0, missing), (0, 0))).reshape(-1, rows.shape[1])


def _pack_block_(chain: PackedChain, row: NDArray[np.int64], block: int, rows: NDArray[Any]) -> None:
    """Write the rows of one block."""
    size = int(row[NUM_ROWS] + 1) * LANES
    begin = int(row[FIRST_WEIGHT]) + block * size
    packed = chain.weight[begin : begin + size].reshape(-1, LANES)[:-1]
    if chain.weight.dtype in (np.uint16, np.uint8):
        low = min(0, int(np.min(rows, initial=0)))
        chain.low[int(row[FIRST_BLOCK]) + block] = low
        raised = np.zeros((len(rows), LANES), dtype=chain.weight.dtype)
        raised[:, : rows.shape[1]] = rows - low
        packed[:, 0::2], packed[:, 1::2] = raised[:, : LANES // 2], raised[:, LANES // 2 :]
    else:
        packed[:, : rows.shape[1]] = rows


def _pack_patterns_(chain: PackedChain, row: NDArray[np.int64], block: int, weight: NDArray[Any]) -> None:
    """Write, for each channel, kernel row and group of pixels, the sums of all patterns."""
    count, channels, kernel_h, kernel_w = weight.shape
    groups = pattern_groups(kernel_w)
    padded = np.pad(weight.astype(np.int64), ((0, 0), (0, 0), (0, 0), (0, groups * PATTERN_BITS - kernel_w)))
    grouped = padded.reshape(count, channels * kernel_h * groups, PATTERN_BITS)
    bits = np.arange(2**PATTERN_BITS)[:, None] >> np.arange(PATTERN_BITS) & 1  # (pattern, pixel)
    sums = np.einsum("fgp,bp->gbf", grouped, bits).reshape(-1, count)
    size = int(row[NUM_PATTERNS]) * LANES
    chain.pattern[block * size : (block + 1) * size].reshape(-1, LANES)[: len(sums), :count] = sums
