"""From the counts of the workers, packed, to counts shaped like the weights."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sleepdefense.kernels._lanes import LANES
from sleepdefense.kernels.fused import Rule, Trace
from sleepdefense.kernels.learn import EVERYBODY
from sleepdefense.kernels.pack import (
    CHANNELS,
    FEATURES,
    FIRST_COUNT,
    FIRST_HIT,
    HEIGHT,
    KERNEL_H,
    KERNEL_W,
    NUM_ROWS,
    OUT_HEIGHT,
    OUT_WIDTH,
    OUT_WORDS,
    PADDING_H,
    PADDING_W,
    STRIDE_H,
    STRIDE_W,
    WIDTH,
    PackedChain,
)
from sleepdefense.kernels.tally import Tally, settle_


class SleepRecord(NamedTuple):
    """What happened while a batch of images was presented; layers first to last."""

    potentiation: tuple[NDArray[np.int32], ...]
    """Per layer, like its weight; (0, channel, kernel_h, kernel_w) where the layer does not learn."""
    depression: tuple[NDArray[np.int32], ...]
    """The same."""
    winner_count: tuple[NDArray[np.int64], ...]
    """Per layer (feature,): how often a neuron of this map learned; 0 where the layer does not."""
    spike_count: NDArray[np.int64]
    """(layer,): spikes of all neurons, images and steps."""
    winners: NDArray[np.int32]
    """(image, layer, winner, 4): rows (feature, row, column, step) in the order of selection, filled up with
    -1; no rows unless the competition is "image"."""
    spikes: tuple[NDArray[np.uint8], ...] = ()
    """Per layer (time, image, feature, height, width); only if asked for."""
    membrane: tuple[NDArray[np.int64], ...] = ()
    """Per layer (image, feature, height, width), after the last step; only if asked for."""


def _sum_hits(
    hits: NDArray[np.int32], shape: NDArray[np.int64], *, depress_outside: bool
) -> NDArray[np.int32]:
    """Count how often each synapse of a feature was potentiated or depressed: (feature, kernel_h, kernel_w).

    A neuron that learned did so with every synapse that lies inside, or (`depress_outside`) with all. `hits`
    is (row, column, feature). Few rows and columns have synapses outside: those are subtracted.
    """
    kernel_h, kernel_w = int(shape[KERNEL_H]), int(shape[KERNEL_W])
    paired = np.zeros((hits.shape[2], kernel_h, kernel_w), dtype=np.int32)
    rows = np.arange(hits.shape[0]) * shape[STRIDE_H] - shape[PADDING_H]
    columns = np.arange(hits.shape[1]) * shape[STRIDE_W] - shape[PADDING_W]
    of_all_rows = hits.sum(axis=0, dtype=np.int32)
    for ky in range(kernel_h):
        outside = ((rows + ky < 0) | (rows + ky >= shape[HEIGHT])) & (not depress_outside)
        by_column = of_all_rows - hits[outside].sum(axis=0, dtype=np.int32)
        of_all_columns = by_column.sum(axis=0, dtype=np.int32)
        for kx in range(kernel_w):
            outside = ((columns + kx < 0) | (columns + kx >= shape[WIDTH])) & (not depress_outside)
            paired[:, ky, kx] = of_all_columns - by_column[outside].sum(axis=0, dtype=np.int32)
    return paired


def _own_counts(
    potentiation: NDArray[np.int32], shape: NDArray[np.int64], *, by_block: bool
) -> NDArray[np.int32]:
    """Return a view of a layer's counts, (feature, kernel_h, kernel_w, channel).

    Or, where everybody learns, (block, kernel_h, kernel_w, channel, feature of the block).
    """
    begin, blocks, rows = int(shape[FIRST_COUNT]), int(shape[OUT_WORDS]), int(shape[NUM_ROWS])
    counts = potentiation[begin : begin + blocks * LANES * rows]
    kernel = int(shape[KERNEL_H]), int(shape[KERNEL_W])
    if by_block:
        return counts.reshape(blocks, *kernel, -1, LANES)
    return counts.reshape(blocks * LANES, *kernel, -1)


def _unpack(
    potentiation: NDArray[np.int32], shape: NDArray[np.int64], features: NDArray[np.int64], *, by_block: bool
) -> NDArray[np.int32]:
    """Return the counts of some features, (feature, channel, kernel_h, kernel_w)."""
    counts, channels = _own_counts(potentiation, shape, by_block=by_block), int(shape[CHANNELS])
    if by_block:
        own = counts[features // LANES, :, :, :channels, features % LANES]
    else:
        own = counts[features, :, :, :channels]
    return own.transpose(0, 3, 1, 2)


def forget_(tally: Tally, chain: PackedChain, rule: Rule, winner_counts: Sequence[NDArray[np.int64]]) -> None:
    """Make a tally empty again, given how often the neurons of each feature learned."""
    if rule.mode == EVERYBODY:
        tally.potentiation[:] = 0
    else:
        for shape, winner_count in zip(chain.table, winner_counts, strict=True):
            counts = _own_counts(tally.potentiation, shape, by_block=False)
            counts[np.flatnonzero(winner_count)] = 0
    tally.hits[:] = 0
    tally.spike_count[:] = 0


def _counts(tally: Tally) -> tuple[NDArray[Any], ...]:
    return tally.potentiation, tally.hits, tally.spike_count


def collect(
    tallies: Sequence[Tally],
    trace: Trace,
    chain: PackedChain,
    rule: Rule,
    num_steps: int,
    *,
    depress_outside: bool,
) -> SleepRecord:
    """Sum what the workers counted, and give each layer its own arrays again."""
    total, by_block = tallies[0], rule.mode == EVERYBODY
    for tally in tallies:
        settle_(tally, chain.table)
    for other in tallies[1:]:
        for counts, more in zip(_counts(total), _counts(other), strict=True):
            counts += more
    num_images = len(trace.winner)
    plus, minus, winner_counts, spikes, membrane = [], [], [], [], []
    first = 0
    for shape, k in zip(chain.table, rule.k, strict=True):
        num_features, channels = int(shape[FEATURES]), int(shape[CHANNELS])
        kernel_size = int(shape[KERNEL_H]), int(shape[KERNEL_W])
        size = num_features, int(shape[OUT_HEIGHT]), int(shape[OUT_WIDTH])
        learners = num_features if k else 0
        winner_count = np.zeros(num_features, dtype=np.int64)
        plus.append(np.zeros((learners, channels, *kernel_size), dtype=np.int32))
        minus.append(np.zeros((learners, channels, *kernel_size), dtype=np.int32))
        if k:
            begin, lanes = int(shape[FIRST_HIT]), int(shape[OUT_WORDS]) * LANES
            hits = total.hits[begin : begin + size[1] * size[2] * lanes]
            hits = hits.reshape(*size[1:], lanes)[:, :, :num_features]
            winner_count = hits.sum(axis=(0, 1), dtype=np.int64)
            paired = _sum_hits(hits, shape, depress_outside=depress_outside)
            some = np.flatnonzero(winner_count)
            plus[-1][some] = _unpack(total.potentiation, shape, some, by_block=by_block)
            minus[-1][some] = paired[some][:, None] - plus[-1][some]
        winner_counts.append(winner_count)
        if trace.record:
            last = first + int(np.prod(size)) * num_images
            train = trace.spikes[first * num_steps : last * num_steps]
            spikes.append(train.reshape(num_steps, num_images, *size))
            membrane.append(trace.membrane[first:last].reshape(num_images, *size))
            first = last
    return SleepRecord(
        tuple(plus),
        tuple(minus),
        tuple(winner_counts),
        total.spike_count.copy(),
        trace.winner,
        tuple(spikes),
        tuple(membrane),
    )
