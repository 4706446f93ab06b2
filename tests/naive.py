"""Slow, obvious twins of the kernels: whole arrays of first spikes, sorted lists, Python's own integers."""

from fractions import Fraction
from typing import NamedTuple

import numpy as np

WORD = 2**64
GOLDEN = 0x9E3779B97F4A7C15


def splitmix64(state):
    z = (state + GOLDEN) % WORD
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % WORD
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % WORD
    return z ^ (z >> 31)


def bernoulli_train(images, index, *, seed, first_step, num_steps):
    flat = images.reshape(len(images), int(np.prod(images.shape[1:])))
    train = np.zeros((num_steps, *flat.shape), dtype=np.uint8)
    for image, number in enumerate(index):
        key = splitmix64((seed * GOLDEN + int(number)) % WORD)
        for step in range(num_steps):
            for pixel, intensity in enumerate(flat[image]):
                word = splitmix64((key + ((first_step + step) * 2**32 + pixel // 2) * GOLDEN) % WORD)
                draw = word % 2**32 if pixel % 2 == 0 else word // 2**32
                train[step, image, pixel] = draw < round(Fraction(float(intensity)) * 2**32)
    return train.reshape(num_steps, *images.shape)


def select_winners(first_step, potential, *, num_steps, k, radius):
    ranked = sorted(
        (int(first_step[neuron]), -int(potential[neuron]), neuron)
        for neuron in np.ndindex(first_step.shape)
        if first_step[neuron] < num_steps
    )
    winners = []
    for step, _, (feature, row, column) in ranked:
        free = all(
            feature != other_feature
            and (radius == 0 or max(abs(row - other_row), abs(column - other_column)) > radius)
            for other_feature, other_row, other_column, _ in winners
        )
        if free and len(winners) < k:
            winners.append((feature, row, column, step))
    return np.array(winners, dtype=np.int32).reshape(-1, 4)


def pair(value):
    return value if isinstance(value, tuple) else (value, value)


def count_synapses(plus, minus, post, is_potentiated, visible_shape, stride, padding, depress_outside):
    """For one neuron: ask of each synapse whether its visible unit (channel, row, column) potentiates."""
    feature, row, column = (int(entry) for entry in post[:3])
    for channel, u, v in np.ndindex(plus.shape[1:]):
        y = row * pair(stride)[0] - pair(padding)[0] + u
        x = column * pair(stride)[1] - pair(padding)[1] + v
        if 0 <= y < visible_shape[1] and 0 <= x < visible_shape[2]:
            counts = plus if is_potentiated((channel, y, x)) else minus
            counts[feature, channel, u, v] += 1
        elif depress_outside:
            minus[feature, channel, u, v] += 1


def count_pairings(shape, pre_step, winner, *, stride, padding, depress_outside=False, as_printed=False):
    plus, minus = np.zeros(shape, dtype=np.int32), np.zeros(shape, dtype=np.int32)
    for post in winner:
        for_visible = (
            (lambda unit, step=post[3]: step <= pre_step[unit])
            if as_printed
            else (lambda unit, step=post[3]: pre_step[unit] <= step)
        )
        count_synapses(plus, minus, post, for_visible, pre_step.shape, stride, padding, depress_outside)
    return plus, minus


def count_coincidences(shape, pre, post, *, stride, padding, depress_outside=False):
    plus, minus = np.zeros(shape, dtype=np.int32), np.zeros(shape, dtype=np.int32)
    for neuron in np.argwhere(post):
        count_synapses(
            plus, minus, neuron, lambda unit: pre[unit] == 1, pre.shape, stride, padding, depress_outside
        )
    return plus, minus


def convolve(spikes, layer):
    """The drive of every neuron of a layer, without its bias: (feature, height, width), int64."""
    stride, padding = pair(layer.stride), pair(layer.padding)
    rim = np.pad(spikes.astype(np.int64), [(0, 0), (padding[0], padding[0]), (padding[1], padding[1])])
    kernel = layer.weight.shape[2:]
    size = [(rim.shape[1 + axis] - kernel[axis]) // stride[axis] + 1 for axis in (0, 1)]
    drive = np.zeros((len(layer.weight), *size), dtype=np.int64)
    for feature, row, column in np.ndindex(drive.shape):
        y, x = row * stride[0], column * stride[1]
        patch = rim[:, y : y + kernel[0], x : x + kernel[1]]
        drive[feature, row, column] = np.sum(patch * layer.weight[feature])
    return drive


def pool(spikes, window):
    """How many units of each window spike: (time, channel, height, width)."""
    height, width = (size // side for size, side in zip(spikes.shape[2:], window, strict=True))
    counts = np.zeros((*spikes.shape[:2], height, width), dtype=np.int64)
    for y, x in np.ndindex(height, width):
        patch = spikes[:, :, y * window[0] : (y + 1) * window[0], x * window[1] : (x + 1) * window[1]]
        counts[:, :, y, x] = patch.sum(axis=(2, 3))
    return counts


class LayerTrain(NamedTuple):
    spikes: np.ndarray  # (time, feature, height, width)
    potential: np.ndarray  # the same, before the reset
    membrane: np.ndarray  # (feature, height, width), after the last step


def fire(visible, layer):
    """Integrate and fire over a whole train (time, channel, height, width) of the layer below.

    Behind a pool that train holds counts, and everything is as many times as large as the window.
    """
    area = layer.pool[0] * layer.pool[1]
    membrane = np.int64(0)
    spikes, potential = [], []
    for step_spikes in visible:
        membrane = membrane + convolve(step_spikes, layer) + area * layer.bias[:, None, None]
        potential.append(membrane)
        spikes.append(membrane > area * layer.threshold)
        membrane = membrane - area * layer.threshold * spikes[-1]
    return LayerTrain(np.array(spikes, dtype=np.uint8), np.array(potential), membrane)


def first_steps(spikes):
    """Step of each unit's first spike; the length of the train if there is none."""
    never = np.ones((1, *spikes.shape[1:]), dtype=np.uint8)
    return np.argmax(np.concatenate([spikes, never]), axis=0).astype(np.int32)


class LayerSleep(NamedTuple):
    train: LayerTrain
    potentiation: np.ndarray
    depression: np.ndarray
    winners: list  # arrays of rows (feature, row, column, step)


def learn(visible, layer, train, competition, k, radius, depress_outside, as_printed):
    """What one layer goes through while one image is presented."""
    place = {"stride": layer.stride, "padding": layer.padding, "depress_outside": depress_outside}
    shape, num_steps = layer.weight.shape, len(visible)
    seen = first_steps(visible)
    if competition == "image":
        potential = np.zeros(train.spikes.shape[1:], dtype=np.int64)
        first = first_steps(train.spikes)
        for neuron in np.argwhere(first < num_steps):
            potential[tuple(neuron)] = train.potential[(first[tuple(neuron)], *neuron)]
        winners = [select_winners(first, potential, num_steps=num_steps, k=k, radius=radius)]
        counts = [count_pairings(shape, seen, winners[0], **place, as_printed=as_printed)]
    elif competition == "step":
        winners, counts = [], []
        for step in range(num_steps):
            fires_now = np.where(train.spikes[step] == 1, step, num_steps)
            winners.append(
                select_winners(fires_now, train.potential[step], num_steps=num_steps, k=k, radius=radius)
            )
            counts.append(count_pairings(shape, seen, winners[-1], **place, as_printed=as_printed))
    else:
        winners = [
            np.column_stack([np.argwhere(now), np.full(int(now.sum()), step)])
            for step, now in enumerate(train.spikes)
        ]
        counts = [
            count_coincidences(shape, pre, post, **place)
            for pre, post in zip(visible, train.spikes, strict=True)
        ]
    nothing = np.zeros(shape, dtype=np.int32)
    return LayerSleep(
        train, sum((c[0] for c in counts), nothing), sum((c[1] for c in counts), nothing), winners
    )


def sleep_image(
    image, number, layers, *, seed, num_steps, competition, k, radius, depress_outside=False, as_printed=False
):
    """All layers of a chain, one after the other, each over the whole train of the one below."""
    visible = bernoulli_train(image[None], np.array([number]), seed=seed, first_step=0, num_steps=num_steps)[
        :, 0
    ]
    asleep = []
    for layer, most, reach in zip(layers, k, radius, strict=True):
        counts = pool(visible, layer.pool)
        train, seen = fire(counts, layer), (counts > 0).astype(np.uint8)
        asleep.append(learn(seen, layer, train, competition, most, reach, depress_outside, as_printed))
        visible = train.spikes
    return asleep
