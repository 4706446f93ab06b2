"""The layout of a chain in memory: rows of 64 weights, so that an input spike is one addition of 64 lanes.

Features and channels are filled up to multiples of 64, of which each makes a block or a word. A row holds the
weights from one visible unit of a receptive field to the 64 features of a block; a block is the rows of the
whole field, in the order (kernel_h, kernel_w, channel), and one row of zeros. Spikes are masks: a word of 64
bits for each position and block, in the order (row, column, block).
"""

import contextlib
import mmap
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from sleepdefense.kernels._checks import check_pair
from sleepdefense.kernels._lanes import LANES, PATTERN_BITS
from sleepdefense.kernels.chain import ChainLayer
from sleepdefense.kernels.extent import byte_unit

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


def make_table(
    layers: Sequence[ChainLayer], shapes: Sequence[tuple[int, int, int]], *, byte: bool
) -> NDArray[np.int64]:
    """Say what each layer is and where its parts begin; `shapes` are those of `chain_shapes`."""
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
            kernel_h, kernel_w, *strides, *paddings, fan, False,
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
