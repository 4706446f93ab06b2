"""The compiled loops of a sleep: draw, fire, compete and learn; image by image, a few steps at a time.

Nothing here is checked; `integrate.Sleeper` is the front door.
"""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sleepdefense.kernels._jit import Integer, kernel
from sleepdefense.kernels._lanes import LANES, count_bits
from sleepdefense.kernels.compete import compete_
from sleepdefense.kernels.encode import _draw_spikes_, _image_key, _spike_bounds_
from sleepdefense.kernels.fire import fire_lists_, fire_patterns_
from sleepdefense.kernels.pack import (
    CHANNELS,
    FEATURES,
    FIRST_MASK,
    FIRST_NEURON,
    FIRST_SOURCE,
    NUM_PATTERNS,
    OUT_HEIGHT,
    OUT_WIDTH,
    OUT_WORDS,
    SOURCE_HEIGHT,
    SOURCE_WIDTH,
    UNIT,
    WORDS,
    PackedChain,
)
from sleepdefense.kernels.pairings import count_everybody_, count_winners_, note_visible_
from sleepdefense.kernels.patterns import read_patterns_
from sleepdefense.kernels.workspace import CHUNK, Workspace

ONCE: Final = 0  # winners of an image
EVERY_STEP: Final = 1  # winners of a step
EVERYBODY: Final = 2  # no competition

_ONE = np.uint64(1)


class Rule(NamedTuple):
    """Who learns, and how."""

    mode: Integer
    """ONCE, EVERY_STEP or EVERYBODY."""
    k: NDArray[np.int64]
    """(layer,); 0 for a layer that does not learn."""
    radius: NDArray[np.int64]
    """(layer,)."""
    as_printed: bool


class Tally(NamedTuple):
    """What one worker has counted so far."""

    potentiation: NDArray[np.int32]
    """Per layer: see `pairings.py`."""
    hits: NDArray[np.int32]
    """Per layer (row, column, feature): how often this neuron learned."""
    spike_count: NDArray[np.int64]
    """(layer,)."""


class Trace(NamedTuple):
    """What is kept of each image; the workers write different images."""

    winner: NDArray[np.int32]
    """(image, layer, max k or 0, 4)."""
    spikes: NDArray[np.uint8]
    """Per layer (time, image, feature, height, width); empty unless `record`."""
    membrane: NDArray[np.int64]
    """Per layer (image, feature, height, width); empty unless `record`."""
    record: bool


@kernel
def _draw_chunk_(
    work: Workspace, shape: NDArray[np.int64], key: np.uint64, first: Integer, steps: Integer
) -> None:
    """Draw the input spikes of a chunk: as patterns for the first layer's table, and as masks."""
    num_pixels, num_words, channels = (
        shape[SOURCE_HEIGHT] * shape[SOURCE_WIDTH],
        shape[WORDS],
        shape[CHANNELS],
    )
    pixel, bound, mask = work.pixel, work.bound, work.mask
    pattern, rim, line = work.pattern, work.rim, work.line
    stride, has_patterns = work.joined.size, shape[NUM_PATTERNS] > 0
    mask[: steps * num_pixels * num_words] = np.uint64(0)
    for step in range(steps):
        _draw_spikes_(pixel, bound, key, first + step)
        if has_patterns:
            read_patterns_(pattern, step * stride, rim, line, pixel, shape)
        begin = step * num_pixels * num_words
        for channel in range(channels):
            word, bit = begin + channel // LANES, np.uint64(channel % LANES)
            for i in range(num_pixels):
                mask[word + i * num_words] |= np.uint64(pixel[channel * num_pixels + i]) << bit


@kernel
def _compete_(
    work: Workspace,
    rule: Rule,
    layer: Integer,
    shape: NDArray[np.int64],
    masks: Integer,
    step: tuple[Integer, Integer],
    low: Any,
) -> Integer:
    """Choose winners among the neurons that fire now; return how many there were before.

    `step` is (place among the potentials that are kept, step of the image). Winners of an image are found
    step by step: a neuron that fired earlier and did not win is inhibited for good, or k was reached; so
    whoever can still win fires for the first time.
    """
    if rule.mode != ONCE:
        work.num_winners[layer] = 0
        work.used[layer, :] = np.uint64(0)
        work.blocked[layer, :] = False
    before: Integer = work.num_winners[layer]
    stride = shape[OUT_HEIGHT] * shape[OUT_WIDTH] * shape[OUT_WORDS]
    work.num_winners[layer] = compete_(
        work.winner[layer],
        before,
        min(rule.k[layer], np.int64(work.winner.shape[1])),
        rule.radius[layer],
        step[1],
        work.mask,
        masks,
        work.kept,
        step[0] * stride * LANES,
        work.used[layer],
        work.blocked[layer],
        work.best,
        shape,
        low,
    )
    return before


@kernel
def _learn_(
    tally: Tally,
    work: Workspace,
    rule: Rule,
    layer: Integer,
    shape: NDArray[np.int64],
    step: tuple[Integer, Integer, Integer],
    low: Any,
) -> None:
    """Let a layer learn from one step: (its place in the chunk, among the kept ones, in the image)."""
    source = shape[SOURCE_HEIGHT] * shape[SOURCE_WIDTH] * shape[WORDS]
    hidden = shape[OUT_HEIGHT] * shape[OUT_WIDTH] * shape[OUT_WORDS]
    visible = shape[FIRST_SOURCE] * CHUNK + step[0] * source
    masks = shape[FIRST_MASK] * CHUNK + step[0] * hidden
    if rule.mode == EVERYBODY:
        note_visible_(work.seen, work.mask, visible, shape, True)
        count_everybody_(tally.potentiation, tally.hits, work.seen, work.mask, masks, shape)
        return
    before = _compete_(work, rule, layer, shape, masks, (step[1], step[2]), low)
    winner = work.winner[layer, before : work.num_winners[layer]]
    if rule.as_printed:  # potentiated is who spikes now, later or never: who has not spiked before
        count_winners_(tally.potentiation, tally.hits, work.seen, winner, shape, True)
    note_visible_(work.seen, work.mask, visible, shape, False)
    if not rule.as_printed:
        count_winners_(tally.potentiation, tally.hits, work.seen, winner, shape, False)


@kernel
def _has_free(blocked: NDArray[np.bool_], num_positions: Integer) -> bool:
    """Say whether the inhibition leaves a position over."""
    free = np.int64(0)
    for position in range(num_positions):
        free += np.int64(not blocked[position])
    return bool(free > 0)


@kernel
def _can_learn(work: Workspace, rule: Rule, layer: Integer, shape: NDArray[np.int64]) -> bool:
    """Say whether there can still be winners in this image."""
    if rule.k[layer] == 0 or rule.mode != ONCE:
        return bool(rule.k[layer] > 0)
    if work.num_winners[layer] >= min(rule.k[layer], shape[FEATURES]):
        return False
    return bool(_has_free(work.blocked[layer], shape[OUT_HEIGHT] * shape[OUT_WIDTH]))


@kernel
def _count_spikes(mask: NDArray[np.uint64], first: Integer, size: Integer) -> Integer:
    """Count the spikes of some masks."""
    fired = np.int64(0)
    for i in range(first, first + size):
        fired += count_bits(mask[i])
    return fired


@kernel
def _run_layer_(
    tally: Tally,
    work: Workspace,
    chain: PackedChain,
    rule: Rule,
    layer: Integer,
    first: Integer,
    num_steps: Integer,
    low: Any,
) -> None:
    """Run one layer over a chunk that begins at step `first`.

    While it learns, potentials are kept, of as many steps as there is room for.
    """
    shape = chain.table[layer]
    hidden = shape[OUT_HEIGHT] * shape[OUT_WIDTH] * shape[OUT_WORDS]
    step = np.int64(0)
    while step < num_steps:
        learns = _can_learn(work, rule, layer, shape)
        keeps = learns and rule.mode != EVERYBODY
        steps = num_steps - step
        if keeps:
            steps = min(steps, work.kept.size // (hidden * LANES))
        span = (step, steps, np.int64(CHUNK), np.int64(keeps))
        if layer == 0 and shape[NUM_PATTERNS] > 0:
            fire_patterns_(work, chain, span)
        else:
            fire_lists_(work, chain, layer, span)
        for kept in range(steps):
            if learns and (kept == 0 or _can_learn(work, rule, layer, shape)):
                _learn_(tally, work, rule, layer, shape, (step + kept, kept, first + step + kept), low)
        step += steps
    tally.spike_count[layer] += _count_spikes(work.mask, shape[FIRST_MASK] * CHUNK, num_steps * hidden)


@kernel
def _trace_spikes_(
    trace: Trace,
    work: Workspace,
    shape: NDArray[np.int64],
    begin: Integer,
    image: Integer,
    first: Integer,
    num_steps: Integer,
) -> None:
    """Write the spikes of one layer, image and chunk; the layer's begin at `begin`."""
    num_positions, blocks = shape[OUT_HEIGHT] * shape[OUT_WIDTH], shape[OUT_WORDS]
    num_images, size = trace.winner.shape[0], shape[FEATURES] * num_positions
    for step in range(num_steps):
        to = begin + ((first + step) * num_images + image) * size
        for position in range(num_positions):
            at = shape[FIRST_MASK] * CHUNK + (step * num_positions + position) * blocks
            for feature in range(shape[FEATURES]):
                bit = (work.mask[at + feature // LANES] >> np.uint64(feature % LANES)) & _ONE
                trace.spikes[to + feature * num_positions + position] = bit


@kernel
def _trace_image_(trace: Trace, work: Workspace, table: NDArray[np.int64], image: Integer) -> None:
    """Write the membranes of an image after its last step."""
    begin = np.int64(0)
    for layer in range(table.shape[0]):
        shape = table[layer]
        num_positions, num_features = shape[OUT_HEIGHT] * shape[OUT_WIDTH], shape[FEATURES]
        to = begin + image * num_features * num_positions
        for feature in range(num_features):
            for position in range(num_positions):
                at = shape[FIRST_NEURON] + position * shape[OUT_WORDS] * LANES + feature
                trace.membrane[to + feature * num_positions + position] = (
                    np.int64(work.membrane[at]) * shape[UNIT]
                )
        begin += num_features * num_positions * trace.winner.shape[0]


@kernel
def sleep_images_(
    tally: Tally,
    trace: Trace,
    work: Workspace,
    chain: PackedChain,
    rule: Rule,
    images: NDArray[np.float32],
    index: NDArray[np.int64],
    first_image: Integer,
    last_image: Integer,
    seed: np.uint64,
    num_steps: Integer,
    low: NDArray[Any],
) -> None:
    """Present images [first_image, last_image), (image, pixel), and add to the tally.

    `low` holds one number, below all membranes.
    """
    table = chain.table
    for image in range(first_image, last_image):
        work.membrane[:] = 0
        work.mask[:] = np.uint64(0)
        work.seen[:] = np.uint64(0)
        work.used[:] = np.uint64(0)
        work.blocked[:] = False
        work.num_winners[:] = 0
        _spike_bounds_(work.bound, images[image])
        key = _image_key(seed, index[image])
        for first in range(0, num_steps, CHUNK):
            steps = min(np.int64(CHUNK), num_steps - first)
            _draw_chunk_(work, table[0], key, first, steps)
            begin = np.int64(0)
            for layer in range(table.shape[0]):
                _run_layer_(tally, work, chain, rule, layer, first, steps, low[0])
                if trace.record:
                    shape = table[layer]
                    _trace_spikes_(trace, work, shape, begin, image, first, steps)
                    size = shape[FEATURES] * shape[OUT_HEIGHT] * shape[OUT_WIDTH]
                    begin += size * num_steps * trace.winner.shape[0]
        if rule.mode == ONCE:
            for layer in range(table.shape[0]):
                for i in range(work.num_winners[layer]):
                    trace.winner[image, layer, i] = work.winner[layer, i]
        if trace.record:
            _trace_image_(trace, work, table, image)
