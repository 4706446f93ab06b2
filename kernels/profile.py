"""Where the time of a pass goes: each phase timed alone, over the very spikes that it meets."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sleepdefense.kernels._checks import check_array, check_integer
from sleepdefense.kernels._jit import Integer, kernel
from sleepdefense.kernels.chain import ChainLayer, chain_shapes
from sleepdefense.kernels.encode import _image_key, _spike_bounds_, check_images
from sleepdefense.kernels.extent import WeightType, choose_numbers, extent_of
from sleepdefense.kernels.fill import pack_chain
from sleepdefense.kernels.fire import fire_lists_, fire_patterns_, list_chunk_, steps_at_once, tile_room
from sleepdefense.kernels.fused import begin_image_, draw_chunk_
from sleepdefense.kernels.lists import add_starts_, list_tile_
from sleepdefense.kernels.pack import (
    NUM_PATTERNS,
    OUT_HEIGHT,
    OUT_WIDTH,
    SOURCE_HEIGHT,
    SOURCE_WIDTH,
    WORDS,
    PackedChain,
)
from sleepdefense.kernels.workspace import CHUNK, Workspace, make_workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainProfile:
    """Where the time went.

    Attributes:
        seconds: Phase -> seconds of this thread, for all images and steps: "draw", and for each layer
            "S1 fire" or "S2 lists" (masks to codes), "S2 rows" (codes to lists of rows) and "S2 gather".
            Some are differences of two measurements; where noise is larger than the phase, it counts 0.
        adds: For each layer, additions of a weight to a neuron, without those that fill up a block.
        num_steps: Steps of all images.
    """

    seconds: dict[str, float]
    adds: tuple[int, ...]
    num_steps: int


def profile_chain(
    images: NDArray[np.float32],
    index: NDArray[np.int64],
    layers: Sequence[ChainLayer],
    *,
    seed: int,
    num_steps: int,
    weight_type: WeightType = "i16",
) -> ChainProfile:
    """Time the phases of a pass without learning.

    Args:
        images: As for `sleep_images`.
        index: The same.
        layers: The same.
        seed: The same.
        num_steps: Steps of each image, >= 1.
        weight_type: The same.

    Raises:
        ValueError: An argument has another type, shape or range.
    """
    check_array("images", images, np.float32, "image channel height width")
    check_images(images, index)
    check_integer("num_steps", num_steps, least=1)
    shapes = chain_shapes(layers, (images.shape[1], images.shape[2], images.shape[3]))
    extents = [extent_of(layer) for layer in layers]
    chain = pack_chain(layers, shapes, extents, choose_numbers(layers, extents, num_steps, weight_type))
    work = make_workspace(chain, 1, learns=False)
    seconds: dict[str, float] = {}
    adds = np.zeros(len(layers), dtype=np.int64)

    overhead = _call_overhead(work, chain)

    def clocked(phase: str, function: Callable[..., Any], *arguments: object) -> int:
        begin = time.thread_time()
        result = function(*arguments)
        seconds[phase] = seconds.get(phase, 0.0) + time.thread_time() - begin - overhead
        return int(result or 0)

    def run_once() -> None:
        for image, number in zip(images, index, strict=True):
            _begin_(work, chain, image.ravel())
            for first in range(0, num_steps, CHUNK):
                steps = min(CHUNK, num_steps - first)
                span = (np.int64(0), np.int64(steps), np.int64(CHUNK), np.int64(0))
                clocked("draw", _draw_, work, chain, np.uint64(seed), number, first, steps)
                for layer in range(len(layers)):
                    name = f"S{layer + 1}"
                    if layer == 0 and chain.table[0, NUM_PATTERNS] > 0:
                        clocked(f"{name} fire", _fire_first_, work, chain, span)
                        adds[0] += _pattern_adds(work, layers[0], chain.table[0], steps)
                        continue
                    begin = 0
                    while begin < steps:
                        now = int(_steps_(work, chain, layer, np.int64(begin), np.int64(steps - begin)))
                        some = (np.int64(begin), np.int64(now), *span[2:])
                        clocked(f"{name} lists", _list_, work, chain, layer, some)
                        rows = clocked(f"{name} rows", _list_rows_, work, chain, layer, some)
                        adds[layer] += rows * len(layers[layer].weight)
                        clocked(f"{name} gather", _fire_, work, chain, layer, some)
                        begin += now

    with np.errstate(over="ignore"):
        run_once()  # compiles, and warms the caches
        seconds.clear()
        adds[:] = 0
        run_once()
    for layer in range(1 if chain.table[0, NUM_PATTERNS] else 0, len(layers)):
        name = f"S{layer + 1}"
        seconds[f"{name} gather"] -= seconds[f"{name} rows"]
    return ChainProfile(
        seconds={phase: max(0.0, measured) for phase, measured in seconds.items()},
        adds=tuple(int(count) for count in adds),
        num_steps=num_steps * len(images),
    )


def _call_overhead(work: Workspace, chain: PackedChain) -> float:
    """Return the seconds that it takes to hand over the arrays."""
    nothing = (np.int64(0), np.int64(0), np.int64(CHUNK), np.int64(0))
    last, best = len(chain.table) - 1, np.inf
    for _ in range(50):
        begin = time.thread_time()
        _list_(work, chain, last, nothing)
        best = min(best, time.thread_time() - begin)
    return float(best)


@kernel
def _begin_(work: Workspace, chain: PackedChain, image: NDArray[np.float32]) -> None:
    """Begin an image."""
    begin_image_(work, chain.table)
    _spike_bounds_(work.bound, image)


@kernel
def _draw_(
    work: Workspace, chain: PackedChain, seed: np.uint64, number: Integer, first: Integer, steps: Integer
) -> None:
    """Draw the pixels of a chunk."""
    key, stride = _image_key(seed, number), work.joined.size
    draw_chunk_(
        work.pixel, work.bound, work.mask, work.pattern, stride, chain.table[0], key,
        first, steps,
    )  # fmt: skip


@kernel
def _fire_first_(
    work: Workspace, chain: PackedChain, span: tuple[Integer, Integer, Integer, Integer]
) -> None:
    """Run the first layer."""
    fire_patterns_(
        work.membrane, work.mask, work.top, work.kept, work.rows, work.ends, work.counts,
        work.pattern, work.joined,
        chain.pattern, chain.low, chain.bias, chain.threshold, chain.table[0], span,
    )  # fmt: skip


@kernel
def _steps_(
    work: Workspace, chain: PackedChain, layer: Integer, first_step: Integer, num_steps: Integer
) -> Integer:
    """Return of how many steps the spikes can be listed."""
    return steps_at_once(work.codes, work.mask, chain.table[layer], first_step, num_steps, np.int64(CHUNK))


@kernel
def _list_(
    work: Workspace, chain: PackedChain, layer: Integer, span: tuple[Integer, Integer, Integer, Integer]
) -> None:
    """List the spikes that a layer sees."""
    list_chunk_(work.codes, work.starts, work.mask, work.byte_bits, chain.table[layer], span)


@kernel
def _fire_(
    work: Workspace, chain: PackedChain, layer: Integer, span: tuple[Integer, Integer, Integer, Integer]
) -> None:
    """Run a layer whose input is listed."""
    fire_lists_(
        work.membrane, work.mask, work.top, work.kept, work.rows, work.ends, work.counts,
        work.codes, work.starts,
        work.totals, chain.weight, chain.low, chain.bias, chain.threshold, chain.table[layer], span,
    )  # fmt: skip


@kernel
def _list_rows_(
    work: Workspace, chain: PackedChain, layer: Integer, span: tuple[Integer, Integer, Integer, Integer]
) -> Integer:
    """Make the lists of all positions, and count their rows."""
    shape = chain.table[layer]
    rows, ends, counts, codes, starts = work.rows, work.ends, work.counts, work.codes, work.starts
    num_positions = shape[OUT_HEIGHT] * shape[OUT_WIDTH]
    room, stride = tile_room(rows, shape, span[1]), starts.size // span[2]
    totals = work.totals
    add_starts_(totals, starts, stride, shape, span[1])
    total: Integer = np.int64(0)
    position: Integer = np.int64(0)
    while position < num_positions:
        last = list_tile_(rows, ends, counts, codes, starts, stride, totals, shape, position, span[1], room)
        for tile in range(last - position):
            for step in range(span[1]):
                total += np.int64(counts[tile * (span[1] + 1) + step])
        position = last
    return total


def _pattern_adds(work: Workspace, layer: ChainLayer, shape: NDArray[np.int64], steps: int) -> int:
    """Count what the spikes of the chunk would add up to without the table."""
    num_words = int(shape[WORDS])
    size = int(shape[SOURCE_HEIGHT] * shape[SOURCE_WIDTH]) * num_words
    masks = work.mask[: steps * size].reshape(steps, int(shape[SOURCE_HEIGHT]), int(shape[SOURCE_WIDTH]), -1)
    spikes = np.bitwise_count(masks).sum(axis=(0, 3), dtype=np.int64)
    fans = _fans(layer, int(shape[SOURCE_HEIGHT]), int(shape[SOURCE_WIDTH]))
    return int(np.sum(spikes * fans)) * len(layer.weight)


def _fans(layer: ChainLayer, height: int, width: int) -> NDArray[np.int64]:
    """Return how many positions each pixel drives, (height, width)."""
    counts = []
    for axis, size in enumerate((height, width)):
        kernel_size = layer.weight.shape[2 + axis]
        stride = layer.stride[axis] if isinstance(layer.stride, tuple) else layer.stride
        padding = layer.padding[axis] if isinstance(layer.padding, tuple) else layer.padding
        outputs = (size + 2 * padding - kernel_size) // stride + 1
        first = np.arange(outputs)[:, None] * stride - padding
        inside = (np.arange(size) >= first) & (np.arange(size) < first + kernel_size)
        counts.append(inside.sum(axis=0))
    fans: NDArray[np.int64] = counts[0][:, None] * counts[1][None, :]
    return fans
