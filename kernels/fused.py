"""The compiled loops of a sleep: draw, fire, compete and learn; image by image, a few steps at a time.

Nothing here is checked; `integrate.Sleeper` is the front door.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sleepdefense.kernels._jit import Integer, kernel, part
from sleepdefense.kernels._lanes import LANES, count_bits
from sleepdefense.kernels.encode import _draw_spikes_, _image_key, _spike_bounds_
from sleepdefense.kernels.fire import fire_lists_, fire_patterns_, list_chunk_, steps_at_once
from sleepdefense.kernels.learn import EVERYBODY, ONCE, can_learn, free_all_, learn_chunk_
from sleepdefense.kernels.pack import (
    CHANNELS,
    FEATURES,
    FIRST_MASK,
    FIRST_NEURON,
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
from sleepdefense.kernels.patterns import read_patterns_
from sleepdefense.kernels.recall import ALL_POTENTIALS, BEST_POTENTIALS, NO_POTENTIALS, Past
from sleepdefense.kernels.tally import Tally
from sleepdefense.kernels.workspace import CHUNK, Workspace

_ONE = np.uint64(1)
_NOTHING = np.uint64(0)


class Rule(NamedTuple):
    """Who learns, and how."""

    mode: Integer
    """ONCE, EVERY_STEP or EVERYBODY."""
    k: NDArray[np.int64]
    """(layer,); 0 for a layer that does not learn."""
    radius: NDArray[np.int64]
    """(layer,)."""
    as_printed: bool


class Trace(NamedTuple):
    """What is kept of each image; the workers write different images."""

    winner: NDArray[np.int32]
    """(image, layer, max k or 0, 4)."""
    spikes: NDArray[np.uint8]
    """Per layer (time, image, feature, height, width); empty unless `record`."""
    membrane: NDArray[np.int64]
    """Per layer (image, feature, height, width); empty unless `record`."""
    record: bool


@part
def draw_chunk_(
    pixel: NDArray[np.uint8],
    bound: NDArray[np.uint64],
    mask: NDArray[np.uint64],
    pattern: NDArray[np.uint8],
    stride: Integer,
    shape: NDArray[np.int64],
    key: np.uint64,
    first: Integer,
    num_steps: Integer,
) -> None:
    """Draw the input spikes of a chunk: as patterns for the first layer's table, and as masks."""
    num_pixels, num_words = shape[SOURCE_HEIGHT] * shape[SOURCE_WIDTH], shape[WORDS]
    channels, has_patterns = shape[CHANNELS], shape[NUM_PATTERNS] > 0
    for i in range(num_steps * num_pixels * num_words):
        mask[i] = _NOTHING
    for step in range(num_steps):
        _draw_spikes_(pixel, bound, key, first + step)
        if has_patterns:
            read_patterns_(pattern, step * stride, pixel, shape)
        begin = step * num_pixels * num_words
        if channels == 1:  # a loop of its own: this one becomes vector code
            for i in range(num_pixels):
                mask[begin + i] = pixel[i]
            continue
        for channel in range(channels):
            word, bit = begin + channel // LANES, np.uint64(channel % LANES)
            for i in range(num_pixels):
                mask[word + i * num_words] |= np.uint64(pixel[channel * num_pixels + i]) << bit


@part
def _count_spikes(mask: NDArray[np.uint64], first: Integer, size: Integer) -> Integer:
    """Count the spikes of some masks."""
    fired = np.int64(0)
    for i in range(first, first + size):
        fired += count_bits(mask[i])
    return fired


@part
def _trace_spikes_(
    spikes: NDArray[np.uint8],
    begin: Integer,
    step_stride: Integer,
    mask: NDArray[np.uint64],
    shape: NDArray[np.int64],
    num_steps: Integer,
) -> None:
    """Write the spikes of one layer, image and chunk: from `begin` on, and a stride further for each step."""
    num_positions, blocks = shape[OUT_HEIGHT] * shape[OUT_WIDTH], shape[OUT_WORDS]
    for step in range(num_steps):
        for position in range(num_positions):
            at = shape[FIRST_MASK] * CHUNK + (step * num_positions + position) * blocks
            for feature in range(shape[FEATURES]):
                bit = (mask[at + feature // LANES] >> np.uint64(feature % LANES)) & _ONE
                spikes[begin + step * step_stride + feature * num_positions + position] = bit


@part
def _trace_membranes_(
    traced: NDArray[np.int64],
    membrane: NDArray[Any],
    table: NDArray[np.int64],
    image: Integer,
    images: Integer,
) -> None:
    """Write the membranes of an image after its last step."""
    begin = np.int64(0)
    for layer in range(table.shape[0]):
        shape = table[layer]
        num_positions, num_features = shape[OUT_HEIGHT] * shape[OUT_WIDTH], shape[FEATURES]
        to = begin + image * num_features * num_positions
        for feature in range(num_features):
            for position in range(num_positions):
                at = shape[FIRST_NEURON] + position * shape[OUT_WORDS] * LANES + feature
                traced[to + feature * num_positions + position] = np.int64(membrane[at]) * shape[UNIT]
        begin += num_features * num_positions * images


@part
def begin_image_(work: Workspace, table: NDArray[np.int64]) -> None:
    """Discharge and silence all neurons, and lift the inhibition.

    Of the masks, only the last step of a chunk: what the first one of the next looks back on.
    """
    for i in range(work.membrane.size):
        work.membrane[i] = 0
    for i in range(work.seen.size):
        work.seen[i] = _NOTHING
    for layer in range(table.shape[0]):
        shape = table[layer]
        hidden = shape[OUT_HEIGHT] * shape[OUT_WIDTH] * shape[OUT_WORDS]
        last = shape[FIRST_MASK] * CHUNK + (CHUNK - 1) * hidden
        for i in range(last, last + hidden):
            work.mask[i] = _NOTHING
        free_all_(work.used[layer], work.blocked[layer], shape)
        work.num_winners[layer] = 0


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

    While a layer learns, potentials are kept, of as many steps as there is room for; see `recall.py`. `low`
    holds one number, below all membranes.
    """
    table, weight, sums, lows, bias, threshold = chain
    pixel, bound, pattern, joined = work.pixel, work.bound, work.pattern, work.joined
    membrane, mask, top, kept = work.membrane, work.mask, work.top, work.kept
    codes, starts, totals = work.codes, work.starts, work.totals
    rows, ends, counts = work.rows, work.ends, work.counts
    best, used, blocked = work.best, work.used, work.blocked
    winner, num_winners, bits = work.winner, work.num_winners, work.byte_bits
    all_winners, all_spikes, all_membranes, records = trace
    mode, k, radius, as_printed = rule
    num_images = all_winners.shape[0]
    past = Past(top, kept, membrane, mask, rows, pattern, joined.size, sums, bias, threshold)
    for image in range(first_image, last_image):
        begin_image_(work, table)
        _spike_bounds_(bound, images[image])
        key = _image_key(seed, index[image])
        for first in range(0, num_steps, CHUNK):
            steps = min(np.int64(CHUNK), num_steps - first)
            draw_chunk_(pixel, bound, mask, pattern, joined.size, table[0], key, first, steps)
            traced = np.int64(0)
            for layer in range(table.shape[0]):
                shape = table[layer]
                hidden = shape[OUT_HEIGHT] * shape[OUT_WIDTH] * shape[OUT_WORDS]
                step = np.int64(0)
                while step < steps:
                    learns = can_learn(num_winners[layer], blocked[layer], mode, k[layer], shape)
                    has_patterns = layer == 0 and shape[NUM_PATTERNS] > 0
                    keeps: Integer = np.int64(NO_POTENTIALS)
                    now: Integer = steps - step
                    if learns and mode != EVERYBODY:
                        keeps = np.int64(BEST_POTENTIALS if has_patterns else ALL_POTENTIALS)
                    if keeps == ALL_POTENTIALS:
                        now = min(now, kept.size // (hidden * LANES))
                    if not has_patterns:
                        now = steps_at_once(codes, mask, shape, step, now, np.int64(CHUNK))
                    span = (step, now, np.int64(CHUNK), keeps)
                    if has_patterns:
                        fire_patterns_(
                            membrane, mask, top, kept, rows, ends, counts, pattern, joined, sums, lows,
                            bias, threshold, shape, span,
                        )  # fmt: skip
                    else:
                        list_chunk_(codes, starts, mask, bits, shape, span)
                        fire_lists_(
                            membrane, mask, top, kept, rows, ends, counts, codes, starts, totals, weight,
                            lows, bias, threshold, shape, span,
                        )  # fmt: skip
                    if learns:
                        num_winners[layer] = learn_chunk_(
                            winner[layer], num_winners[layer], used[layer], blocked[layer], best, past,
                            work.seen, tally, shape, mode, k[layer], radius[layer], as_printed, span,
                            first + step, low[0],
                        )  # fmt: skip
                    step += now
                tally.spike_count[layer] += _count_spikes(mask, shape[FIRST_MASK] * CHUNK, steps * hidden)
                if records:
                    size = shape[FEATURES] * shape[OUT_HEIGHT] * shape[OUT_WIDTH]
                    begin = traced + (first * num_images + image) * size
                    _trace_spikes_(all_spikes, begin, num_images * size, mask, shape, steps)
                    traced += size * num_steps * num_images
        if mode == ONCE:
            for layer in range(table.shape[0]):
                for i in range(num_winners[layer]):
                    for entry in range(4):
                        all_winners[image, layer, i, entry] = winner[layer, i, entry]
        if records:
            _trace_membranes_(all_membranes, membrane, table, image, num_images)
