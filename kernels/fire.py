"""One layer over a few steps: integrate and fire, position by position, with 64 membranes in registers.

Positions are outside, steps inside: nothing feeds back within a chunk of steps, and a position's weights and
membranes stay close. A tile is as many positions as the lists have room for; the blocks of features go over
a tile one after the other, so that the weights of a block stay in the second-level cache.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sleepdefense.kernels._jit import Integer, part
from sleepdefense.kernels._lanes import LANES, SLACK, count_bits, gather_fire_
from sleepdefense.kernels.lists import add_starts_, list_spikes_, list_tile_
from sleepdefense.kernels.pack import (
    FIRST_BLOCK,
    FIRST_FEATURE,
    FIRST_MASK,
    FIRST_NEURON,
    FIRST_SOURCE,
    FIRST_WEIGHT,
    HAS_BIAS,
    IS_NARROW,
    NUM_PATTERNS,
    NUM_ROWS,
    OUT_HEIGHT,
    OUT_WIDTH,
    OUT_WORDS,
    POOL_H,
    POOL_W,
    SOURCE_HEIGHT,
    SOURCE_WIDTH,
    WORDS,
)
from sleepdefense.kernels.patterns import join_patterns_, list_patterns_
from sleepdefense.kernels.recall import ALL_POTENTIALS, NO_POTENTIALS

_SILENCE = np.uint64(0)


@part
def _fire_tile_(
    membrane: NDArray[Any],
    mask: NDArray[np.uint64],
    top: NDArray[Any],
    kept: NDArray[Any],
    rows: NDArray[np.int32],
    ends: NDArray[np.int32],
    counts: NDArray[np.int32],
    weight: NDArray[Any],
    first_weight: Integer,
    is_narrow: Integer,
    low: Any,
    bias: NDArray[Any],
    threshold: NDArray[Any],
    shape: NDArray[np.int64],
    block: Integer,
    tile: tuple[Integer, Integer],
    span: tuple[Integer, Integer, Integer, Integer],
) -> None:
    """Let one block of features fire at the positions of a tile, [first, last), whose lists are made.

    A position that no spike reaches in these steps, without a bias, and silent in the step before, stays as
    it is: a membrane above the threshold would have fired again.
    """
    first_step, num_steps, chunk, keeps = span
    blocks = shape[OUT_WORDS]
    stride = shape[OUT_HEIGHT] * shape[OUT_WIDTH] * blocks
    first_mask = shape[FIRST_MASK] * chunk + first_step * stride
    before = shape[FIRST_MASK] * chunk + ((first_step if first_step > 0 else chunk) - 1) * stride
    first_feature, first_neuron = shape[FIRST_FEATURE] + block * LANES, shape[FIRST_NEURON]
    is_free = shape[HAS_BIAS] == 0
    top_stride = stride if keeps != NO_POTENTIALS else np.int64(0)
    kept_stride = stride * LANES if keeps == ALL_POTENTIALS else np.int64(0)
    entry = np.int64(0)
    for position in range(tile[0], tile[1]):
        at = position * blocks + block
        if is_free and ends[entry] == ends[entry + num_steps] and mask[before + at] == _SILENCE:
            for step in range(num_steps):
                mask[first_mask + step * stride + at] = _SILENCE
        else:
            gather_fire_(
                membrane,
                first_neuron + at * LANES,
                weight,
                first_weight,
                rows,
                ends,
                counts,
                entry,
                num_steps,
                is_narrow,
                low,
                bias,
                threshold,
                first_feature,
                mask,
                first_mask + at,
                stride,
                top,
                at,
                top_stride,
                kept,
                at * LANES,
                kept_stride,
            )
        entry += num_steps + 1


@part
def fire_patterns_(
    membrane: NDArray[Any],
    mask: NDArray[np.uint64],
    top: NDArray[Any],
    kept: NDArray[Any],
    rows: NDArray[np.int32],
    ends: NDArray[np.int32],
    counts: NDArray[np.int32],
    pattern: NDArray[np.uint8],
    joined: NDArray[np.uint8],
    table: NDArray[Any],
    low: NDArray[Any],
    bias: NDArray[Any],
    threshold: NDArray[Any],
    shape: NDArray[np.int64],
    span: tuple[Integer, Integer, Integer, Integer],
) -> None:
    """Let the first layer fire, by sums looked up in `table`.

    `span` is (first step in the chunk, number of steps, length of a chunk, which potentials to keep).
    """
    num_positions, num_patterns = shape[OUT_HEIGHT] * shape[OUT_WIDTH], shape[NUM_PATTERNS]
    join_patterns_(joined, pattern, span[0], span[1])
    room = rows.size - SLACK - span[1] * (num_patterns + 3)
    position: Integer = np.int64(0)
    while position < num_positions:
        last = list_patterns_(rows, ends, pattern, joined, span[0], shape, position, span[1], room)
        for block in range(shape[OUT_WORDS]):
            _fire_tile_(
                membrane,
                mask,
                top,
                kept,
                rows,
                ends,
                counts,
                table,
                block * num_patterns * LANES,
                np.int64(1),
                low[block],
                bias,
                threshold,
                shape,
                block,
                (position, last),
                span,
            )
        position = last


@part
def steps_at_once(
    codes: NDArray[Any],
    mask: NDArray[np.uint64],
    shape: NDArray[np.int64],
    first_step: Integer,
    num_steps: Integer,
    chunk: Integer,
) -> Integer:
    """Return of how many steps, from the first one on, there is room to list the spikes; at least one."""
    source = shape[SOURCE_HEIGHT] * shape[SOURCE_WIDTH] * shape[WORDS]
    begin = shape[FIRST_SOURCE] * chunk + first_step * source
    spikes = np.int64(0)
    for step in range(num_steps):
        for i in range(begin + step * source, begin + (step + 1) * source):
            spikes += count_bits(mask[i])
        if spikes + SLACK > codes.size and step > 0:
            return np.int64(step)
    return num_steps


@part
def list_chunk_(
    codes: NDArray[Any],
    starts: NDArray[np.int32],
    mask: NDArray[np.uint64],
    bits: NDArray[np.uint8],
    shape: NDArray[np.int64],
    span: tuple[Integer, Integer, Integer, Integer],
) -> None:
    """List the spikes that a layer sees, for the steps of a span, one behind the other."""
    first_step, num_steps, chunk, _ = span
    start_stride = starts.size // chunk
    source = shape[SOURCE_HEIGHT] * shape[SOURCE_WIDTH] * shape[WORDS]
    first = shape[FIRST_SOURCE] * chunk + first_step * source
    place: Integer = np.int64(0)
    for step in range(num_steps):
        place = list_spikes_(
            codes, place, starts, step * start_stride, mask, first + step * source, shape, bits
        )


@part
def tile_room(rows: NDArray[np.int32], shape: NDArray[np.int64], num_steps: Integer) -> Integer:
    """Return how many rows may be listed when another position is begun."""
    most: Integer = shape[NUM_ROWS] * shape[POOL_H] * shape[POOL_W] + 3
    return rows.size - SLACK - num_steps * most


@part
def fire_lists_(
    membrane: NDArray[Any],
    mask: NDArray[np.uint64],
    top: NDArray[Any],
    kept: NDArray[Any],
    rows: NDArray[np.int32],
    ends: NDArray[np.int32],
    counts: NDArray[np.int32],
    codes: NDArray[Any],
    starts: NDArray[np.int32],
    totals: NDArray[np.int32],
    weight: NDArray[Any],
    low: NDArray[Any],
    bias: NDArray[Any],
    threshold: NDArray[Any],
    shape: NDArray[np.int64],
    span: tuple[Integer, Integer, Integer, Integer],
) -> None:
    """Let a layer fire whose input spikes are listed, by the rows that drive each position."""
    num_positions = shape[OUT_HEIGHT] * shape[OUT_WIDTH]
    start_stride = starts.size // span[2]
    add_starts_(totals, starts, start_stride, shape, span[1])
    room = tile_room(rows, shape, span[1])
    position: Integer = np.int64(0)
    while position < num_positions:
        last = list_tile_(
            rows, ends, counts, codes, starts, start_stride, totals, shape, position, span[1], room
        )
        for block in range(shape[OUT_WORDS]):
            _fire_tile_(
                membrane,
                mask,
                top,
                kept,
                rows,
                ends,
                counts,
                weight,
                shape[FIRST_WEIGHT] + block * (shape[NUM_ROWS] + 1) * LANES,
                shape[IS_NARROW],
                low[shape[FIRST_BLOCK] + block],
                bias,
                threshold,
                shape,
                block,
                (position, last),
                span,
            )
        position = last
