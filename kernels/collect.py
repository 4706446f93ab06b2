"""From the counts of the workers, packed, to counts shaped like the weights."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sleepdefense.kernels._jit import kernel
from sleepdefense.kernels._lanes import LANES
from sleepdefense.kernels.fused import Rule, Tally, Trace
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
    WORDS,
    PackedChain,
)


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


@kernel
def _sum_hits_(
    paired: NDArray[np.int32],
    winner_count: NDArray[np.int64],
    hits: NDArray[np.int32],
    shape: NDArray[np.int64],
    depress_outside: bool,
) -> None:
    """Count how often each synapse of a feature was potentiated or depressed: paired (feature, ky, kx).

    A neuron that learned did so with every synapse that lies inside, or (`depress_outside`) with all.
    """
    lanes = shape[OUT_WORDS] * LANES
    for row in range(shape[OUT_HEIGHT]):
        for column in range(shape[OUT_WIDTH]):
            at = shape[FIRST_HIT] + (row * shape[OUT_WIDTH] + column) * lanes
            for feature in range(shape[FEATURES]):
                count = hits[at + feature]
                if count == 0:
                    continue
                winner_count[feature] += count
                for ky in range(shape[KERNEL_H]):
                    y = row * shape[STRIDE_H] - shape[PADDING_H] + ky
                    for kx in range(shape[KERNEL_W]):
                        x = column * shape[STRIDE_W] - shape[PADDING_W] + kx
                        inside = y >= 0 and y < shape[HEIGHT] and x >= 0 and x < shape[WIDTH]
                        if inside or depress_outside:
                            paired[feature, ky, kx] += count


@kernel
def _unpack_(
    plus: NDArray[np.int32],
    minus: NDArray[np.int32],
    potentiation: NDArray[np.int32],
    paired: NDArray[np.int32],
    winner_count: NDArray[np.int64],
    shape: NDArray[np.int64],
    by_block: bool,
) -> None:
    """Write the counts of the features that learned: minus = paired - plus, (feature, channel, ky, kx)."""
    rows = shape[NUM_ROWS]
    for feature in range(shape[FEATURES]):
        if winner_count[feature] == 0:
            continue
        if by_block:
            begin = shape[FIRST_COUNT] + feature // LANES * LANES * rows + feature % LANES
            stride = np.int64(LANES)
        else:
            begin = shape[FIRST_COUNT] + feature * rows
            stride = np.int64(1)
        for ky in range(shape[KERNEL_H]):
            for kx in range(shape[KERNEL_W]):
                at = (ky * shape[KERNEL_W] + kx) * shape[WORDS] * LANES
                for channel in range(shape[CHANNELS]):
                    count = potentiation[begin + (at + channel) * stride]
                    plus[feature, channel, ky, kx] = count
                    minus[feature, channel, ky, kx] = paired[feature, ky, kx] - count


@kernel
def _forget_(
    potentiation: NDArray[np.int32], winner_count: NDArray[np.int64], shape: NDArray[np.int64]
) -> None:
    """Set back the counts of the features that won."""
    for feature in range(shape[FEATURES]):
        if winner_count[feature] > 0:
            begin = shape[FIRST_COUNT] + feature * shape[NUM_ROWS]
            for i in range(begin, begin + shape[NUM_ROWS]):
                potentiation[i] = 0


def forget_(tally: Tally, chain: PackedChain, rule: Rule, winner_counts: Sequence[NDArray[np.int64]]) -> None:
    """Make a tally empty again, given how often the neurons of each feature learned."""
    if rule.mode == EVERYBODY:
        tally.potentiation[:] = 0
    else:
        for shape, winner_count in zip(chain.table, winner_counts, strict=True):
            _forget_(tally.potentiation, winner_count, shape)
    tally.hits[:] = 0
    tally.spike_count[:] = 0


def empty_tally(chain: PackedChain, rule: Rule) -> Tally:
    """Begin to count; nothing is reserved where nobody learns."""
    last = chain.table[-1]
    learns = bool(np.any(rule.k))
    neurons = last[FIRST_HIT] + last[OUT_HEIGHT] * last[OUT_WIDTH] * last[OUT_WORDS] * LANES
    weights = last[FIRST_COUNT] + last[OUT_WORDS] * LANES * last[NUM_ROWS]
    return Tally(
        potentiation=np.zeros(int(weights) if learns else 0, dtype=np.int32),
        hits=np.zeros(int(neurons) if learns else 0, dtype=np.int32),
        spike_count=np.zeros(len(chain.table), dtype=np.int64),
    )


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
    total = tallies[0]
    for other in tallies[1:]:
        for counts, more in zip(_counts(total), _counts(other), strict=True):
            counts += more
    num_images = len(trace.winner)
    plus, minus, winner_counts, spikes, membrane = [], [], [], [], []
    first = 0
    for shape, k in zip(chain.table, rule.k, strict=True):
        num_features, channels = int(shape[FEATURES]), int(shape[CHANNELS])
        kernel_size = int(shape[KERNEL_H]), int(shape[KERNEL_W])
        learners = num_features if k else 0
        winner_count = np.zeros(num_features, dtype=np.int64)
        paired = np.zeros((learners, *kernel_size), dtype=np.int32)
        plus.append(np.zeros((learners, channels, *kernel_size), dtype=np.int32))
        minus.append(np.zeros((learners, channels, *kernel_size), dtype=np.int32))
        if k:
            _sum_hits_(paired, winner_count, total.hits, shape, depress_outside)
            _unpack_(
                plus[-1], minus[-1], total.potentiation, paired, winner_count, shape, rule.mode == EVERYBODY
            )
        winner_counts.append(winner_count)
        if trace.record:
            size = num_features, int(shape[OUT_HEIGHT]), int(shape[OUT_WIDTH])
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
