"""The compiled loops of a sleep: draw, integrate, fire, compete and learn; image by image, step by step.

Nothing here is checked; `integrate.sleep_images` is the front door.
"""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sleepdefense.kernels._jit import Integer, kernel
from sleepdefense.kernels.chain import PackedChain
from sleepdefense.kernels.encode import _draw_spikes_, _image_key, _spike_bounds_
from sleepdefense.kernels.kwta import _select_winners_

ONCE: Final = 0  # winners of an image
EVERY_STEP: Final = 1  # winners of a step
EVERYBODY: Final = 2  # no competition

_FIRST: Final = np.int32(np.iinfo(np.int32).min)
_LAST: Final = np.int32(np.iinfo(np.int32).max)


class Rule(NamedTuple):
    """Who learns, and how."""

    mode: Integer
    """ONCE, EVERY_STEP or EVERYBODY."""
    k: NDArray[np.int64]
    """(layer,); 0 for a layer that does not learn."""
    radius: NDArray[np.int64]
    """(layer,)."""
    depress_outside: bool
    as_printed: bool


class Workspace(NamedTuple):
    """What one worker needs for the image at hand. Neurons lie (row, column, feature), layer after layer."""

    bound: NDArray[np.uint64]
    """(pixel,): an input unit spikes if its draw is below."""
    pixel: NDArray[np.uint8]
    """(pixel,): input spikes of this step, channel first."""
    membrane: NDArray[Any]
    """(neuron,)."""
    seen: NDArray[np.int32]
    """(pixel + neuron,): step of the first spike, or of the latest where nobody competes; num_steps: none."""
    event: NDArray[np.int32]
    """(2, unit, 3): (channel, row, column) of the spikes of two neighbouring layers."""
    potential: NDArray[np.int64]
    """(unit,): membrane before the reset, of the spikes just fired."""
    candidate: NDArray[np.int32]
    """(unit, 4)."""
    winner: NDArray[np.int32]
    """(layer, max k, 4)."""
    num_winners: NDArray[np.int64]
    """(layer,)."""


class Tally(NamedTuple):
    """What one worker has counted so far."""

    potentiation: NDArray[np.int32]
    """Per layer (feature, kernel_h, kernel_w, channel)."""
    paired: NDArray[np.int32]
    """Per layer (feature, kernel_h, kernel_w): potentiations and depressions of every channel's synapse."""
    winner_count: NDArray[np.int64]
    """Per layer (feature,)."""
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
def _note_(seen: NDArray[np.int32], unit: Integer, step: Integer, mode: Integer) -> None:
    """Note a spike of a unit."""
    if mode == EVERYBODY or seen[unit] > step:
        seen[unit] = step


@kernel
def _gather_pixels_(
    event: NDArray[np.int32],
    seen: NDArray[np.int32],
    pixel: NDArray[np.uint8],
    shape: NDArray[np.int64],
    step: Integer,
    mode: Integer,
) -> Integer:
    """List the input spikes of this step."""
    num_events = np.int64(0)
    for channel in range(shape[0]):
        for row in range(shape[1]):
            for column in range(shape[2]):
                if pixel[(channel * shape[1] + row) * shape[2] + column] != 0:
                    event[num_events, 0] = channel
                    event[num_events, 1] = row
                    event[num_events, 2] = column
                    num_events += 1
                    _note_(seen, (row * shape[2] + column) * shape[0] + channel, step, mode)
    return num_events


@kernel
def _scatter_(
    membrane: NDArray[Any],
    weight: NDArray[Any],
    row_reach: NDArray[np.int32],
    column_reach: NDArray[np.int32],
    shape: NDArray[np.int64],
    event: NDArray[np.int32],
    num_events: Integer,
) -> None:
    """Add the weights of every input spike to the neurons it feeds.

    In each output row these are neighbours, and so are their weights: one run of (columns x features).
    """
    num_features, width, kernel_h, kernel_w = shape[3], shape[5], shape[6], shape[7]
    for i in range(num_events):
        rows, columns = row_reach[event[i, 1]], column_reach[event[i, 2]]
        first_row, num_rows, row_tap = rows[0], rows[1], rows[2]
        first_column, num_columns, column_tap = columns[0], columns[1], columns[2]
        run = num_columns * num_features
        for j in range(num_rows):
            neuron = ((first_row + j) * width + first_column) * num_features
            tap = ((event[i, 0] * kernel_h + row_tap + j) * kernel_w + column_tap) * num_features
            to = membrane[neuron : neuron + run]
            source = weight[tap : tap + run]
            for n in range(run):
                to[n] += source[n]


@kernel
def _fire_(
    event: NDArray[np.int32],
    potential: NDArray[np.int64],
    seen: NDArray[np.int32],
    membrane: NDArray[Any],
    bias: NDArray[Any],
    threshold: Any,
    shape: NDArray[np.int64],
    step: Integer,
    mode: Integer,
) -> Integer:
    """Add the bias, fire above the threshold, subtract it; list the spikes and their potentials."""
    num_features, height, width = shape[3], shape[4], shape[5]
    num_events = np.int64(0)
    for row in range(height):
        for column in range(width):
            first = (row * width + column) * num_features
            here = membrane[first : first + num_features]
            highest = threshold
            for feature in range(num_features):
                here[feature] += bias[feature]
                highest = max(highest, here[feature])
            if highest == threshold:
                continue
            for feature in range(num_features):
                if here[feature] > threshold:
                    potential[num_events] = here[feature]
                    here[feature] -= threshold
                    event[num_events, 0] = feature
                    event[num_events, 1] = row
                    event[num_events, 2] = column
                    num_events += 1
                    _note_(seen, first + feature, step, mode)
    return num_events


@kernel
def _compete_(
    work: Workspace,
    layer: Integer,
    event: NDArray[np.int32],
    num_events: Integer,
    rule: Rule,
    step: Integer,
) -> Integer:
    """Choose winners among the neurons that fire now; return how many there were before.

    Winners of an image are found step by step: a neuron that fired earlier and did not win is inhibited for
    good, or k was reached; so whoever can still win fires for the first time.
    """
    before = work.num_winners[layer] if rule.mode == ONCE else np.int64(0)
    work.num_winners[layer] = before
    if before < rule.k[layer]:
        for i in range(num_events):
            for j in range(3):
                work.candidate[i, j] = event[i, j]
            work.candidate[i, 3] = step
        work.num_winners[layer] = _select_winners_(
            work.winner[layer],
            before,
            work.candidate,
            work.potential,
            num_events,
            rule.k[layer],
            rule.radius[layer],
        )
    return before


@kernel
def _learn_(
    tally: Tally,
    chain: PackedChain,
    layer: Integer,
    seen: NDArray[np.int32],
    post: NDArray[np.int32],
    rule: Rule,
    step: Integer,
) -> None:
    """Count the pairings of the neurons `post` that fire now and may learn; `seen` is that of their input.

    Potentiated is what was seen in [earliest, latest]. A unit that has not spiked yet will spike later or
    never, so the order is known already. In each kernel row the synapses are neighbours, and so are their
    visible units: one run of (columns x channels).
    """
    shape = chain.shape[layer]
    num_channels, height, width, kernel_h, kernel_w = shape[0], shape[1], shape[2], shape[6], shape[7]
    stride, padding = chain.geometry[layer, :2], chain.geometry[layer, 2:]
    first_count, first_tap = chain.place[layer, 0], chain.place[layer, 5]
    earliest = np.int32(step) if rule.mode == EVERYBODY or rule.as_printed else _FIRST
    latest = _LAST if rule.mode != EVERYBODY and rule.as_printed else np.int32(step)
    for i in range(post.shape[0]):
        feature = post[i, 0]
        tally.winner_count[chain.place[layer, 1] + feature] += 1
        top, left = post[i, 1] * stride[0] - padding[0], post[i, 2] * stride[1] - padding[1]
        first_kx = min(max(0, -left), kernel_w)
        last_kx = max(first_kx, min(kernel_w, width - left))
        run = (last_kx - first_kx) * num_channels
        first_paired = 0 if rule.depress_outside else first_kx
        last_paired = kernel_w if rule.depress_outside else last_kx
        for ky in range(kernel_h):
            y = top + ky
            row = (feature * kernel_h + ky) * kernel_w
            row_inside = y >= 0 and y < height
            if row_inside:
                at = first_count + (row + first_kx) * num_channels
                unit = (y * width + left + first_kx) * num_channels
                plus, visible = tally.potentiation[at : at + run], seen[unit : unit + run]
                for n in range(run):
                    plus[n] += np.int32(visible[n] >= earliest and visible[n] <= latest)
            if row_inside or rule.depress_outside:
                for kx in range(first_paired, last_paired):
                    tally.paired[first_tap + row + kx] += 1


@kernel
def _trace_spikes_(
    trace: Trace,
    chain: PackedChain,
    layer: Integer,
    event: NDArray[np.int32],
    num_steps: Integer,
    step: Integer,
    image: Integer,
) -> None:
    """Write the spikes of one layer, image and step."""
    num_features, height, width = chain.shape[layer, 3], chain.shape[layer, 4], chain.shape[layer, 5]
    num_images = trace.winner.shape[0]
    begin = chain.place[layer, 2] * num_steps * num_images
    begin += (step * num_images + image) * num_features * height * width
    for i in range(event.shape[0]):
        trace.spikes[begin + (event[i, 0] * height + event[i, 1]) * width + event[i, 2]] = 1


@kernel
def _trace_membranes_(trace: Trace, chain: PackedChain, membrane: NDArray[Any], image: Integer) -> None:
    """Write the membranes of an image after its last step."""
    for layer in range(chain.shape.shape[0]):
        num_features, num_positions = chain.shape[layer, 3], chain.shape[layer, 4] * chain.shape[layer, 5]
        first = chain.place[layer, 2]
        begin = first * trace.winner.shape[0] + image * num_features * num_positions
        for feature in range(num_features):
            for position in range(num_positions):
                value = membrane[first + position * num_features + feature]
                trace.membrane[begin + feature * num_positions + position] = value


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
) -> None:
    """Present images [first_image, last_image), (image, pixel), and add to the tally."""
    num_layers = chain.shape.shape[0]
    num_pixels = images.shape[1]
    for image in range(first_image, last_image):
        work.membrane[:] = 0
        work.seen[:] = num_steps
        work.num_winners[:] = 0
        _spike_bounds_(work.bound, images[image])
        key = _image_key(seed, index[image])
        for step in range(num_steps):
            _draw_spikes_(work.pixel, work.bound, key, step)
            seen = work.seen[:num_pixels]
            num_events = _gather_pixels_(work.event[0], seen, work.pixel, chain.shape[0], step, rule.mode)
            for layer in range(num_layers):
                pre, post = work.event[layer % 2], work.event[(layer + 1) % 2]
                here, there = chain.place[layer], chain.place[layer + 1]
                membrane = work.membrane[here[2] : there[2]]
                hidden_seen = work.seen[num_pixels + here[2] : num_pixels + there[2]]
                _scatter_(
                    membrane,
                    chain.weight[here[0] : there[0]],
                    chain.row_reach[here[3] : there[3]],
                    chain.column_reach[here[4] : there[4]],
                    chain.shape[layer],
                    pre,
                    num_events,
                )
                num_events = _fire_(
                    post,
                    work.potential,
                    hidden_seen,
                    membrane,
                    chain.bias[here[1] : there[1]],
                    chain.threshold[layer],
                    chain.shape[layer],
                    step,
                    rule.mode,
                )
                tally.spike_count[layer] += num_events
                if trace.record:
                    _trace_spikes_(trace, chain, layer, post[:num_events], num_steps, step, image)
                if rule.k[layer] > 0 and rule.mode == EVERYBODY:
                    _learn_(tally, chain, layer, seen, post[:num_events], rule, step)
                elif rule.k[layer] > 0:
                    before = _compete_(work, layer, post, num_events, rule, step)
                    winner = work.winner[layer, before : work.num_winners[layer]]
                    _learn_(tally, chain, layer, seen, winner, rule, step)
                seen = hidden_seen
        if rule.mode == ONCE:
            for layer in range(num_layers):
                for i in range(work.num_winners[layer]):
                    trace.winner[image, layer, i] = work.winner[layer, i]
        if trace.record:
            _trace_membranes_(trace, chain, work.membrane, image)
