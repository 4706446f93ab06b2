"""Weights of 16 bits, floats and bytes: the same sleep on the grid, and what bytes round."""

import numpy as np
import pytest
from busy_chain import COMPETITIONS, SETTINGS, assert_same, busy_chain

from sleepdefense.kernels import ChainLayer, Sleeper, sleep_images
from sleepdefense.kernels.extent import byte_unit, rounded_to_bytes


@pytest.fixture
def busy_sleep():
    return busy_chain()


def scaled(chain, factor):
    return [
        layer._replace(
            weight=layer.weight * np.int32(factor),
            bias=layer.bias * np.int32(factor),
            threshold=layer.threshold * factor,
        )
        for layer in chain
    ]


@COMPETITIONS
def test_floats_give_the_same_sleep(busy_sleep, competition):
    images, index, chain = busy_sleep
    chain = scaled(chain, 999)
    words = sleep_images(images, index, chain, competition=competition, **SETTINGS)
    floats = sleep_images(images, index, chain, competition=competition, weight_type="f32", **SETTINGS)
    assert_same(floats, words)


@COMPETITIONS
@pytest.mark.parametrize("factor", [1, 50, 3000])
def test_bytes_give_the_sleep_of_the_rounded_layers(busy_sleep, competition, factor):
    images, index, chain = busy_sleep
    rng = np.random.default_rng(3)
    chain = [
        layer._replace(weight=layer.weight + rng.integers(0, factor, layer.weight.shape, dtype=np.int32))
        for layer in scaled(chain, factor)
    ]
    rounded = [rounded_to_bytes(layer) for layer in chain]
    words = sleep_images(images, index, rounded, competition=competition, **SETTINGS)
    byte = sleep_images(images, index, chain, competition=competition, weight_type="i8", **SETTINGS)
    assert_same(byte, words)
    if factor == 1:
        assert_same(byte, sleep_images(images, index, chain, competition=competition, **SETTINGS))


def test_byte_unit_is_the_smallest_power_of_two_that_will_do():
    def layer(low, high):
        weight = np.array([low, high], dtype=np.int32).reshape(2, 1, 1, 1)
        return ChainLayer(weight, np.array([7, -7], dtype=np.int32), 100)

    units = {(0, 255): 1, (-1, 255): 2, (-255, 0): 1, (10, 255): 1, (-8192, 8191): 128}
    assert {span: byte_unit(layer(*span)) for span in units} == units
    rounded = rounded_to_bytes(layer(-8192, 8191))
    assert (rounded.weight.ravel().tolist(), rounded.bias.tolist(), rounded.threshold) == (
        [-8192, 8192],
        [0, 0],
        128,
    )


@pytest.mark.parametrize("full", [False, True], ids=["mixed", "extreme"])
def test_weights_that_span_all_16_bits(full):
    # Four rows of such weights do not add up in 16 bits: each is carried alone.
    rng = np.random.default_rng(0)
    weight = (
        rng.choice([-32768, 32767], (70, 3, 3, 3)) if full else rng.integers(-32768, 32768, (70, 3, 3, 3))
    )
    layer = ChainLayer(weight.astype(np.int32), np.zeros(70, dtype=np.int32), 5000, 1, 1)
    deep = ChainLayer(rng.integers(-32768, 32768, (3, 70, 2, 2), dtype=np.int32), np.zeros(3, np.int32), 9000)
    images = rng.random((2, 3, 6, 6), dtype=np.float32)
    settings = SETTINGS | {"k": [3, 2], "radius": [1, 0], "learns": [True] * 2, "competition": "step"}
    wide = [layer._replace(weight=layer.weight * 4, threshold=layer.threshold * 4) for layer in (layer, deep)]
    record = sleep_images(images, np.arange(2), [layer, deep], **settings)
    other = sleep_images(images, np.arange(2), wide, **settings)
    assert record.spike_count.min() > 0
    assert_same(other, record._replace(membrane=tuple(4 * values for values in record.membrane)))


@pytest.mark.parametrize("weight_type", ["i16", "f32", "i8"])
def test_changed_weights_are_packed_anew(busy_sleep, weight_type):
    images, index, chain = busy_sleep
    settings = {**SETTINGS, "competition": "step"}
    sleeper = Sleeper(chain, images.shape[1:], weight_type=weight_type, threads=2)
    before = sleeper.present(images, index, **settings)
    assert_same(before, sleep_images(images, index, chain, weight_type=weight_type, **settings))
    for layer, features in ((0, None), (1, [4]), (2, [0, 3]), (0, [5])):
        weight = chain[layer].weight.copy()
        weight[slice(None) if features is None else features] *= 37  # other spans, other lows
        chain[layer] = chain[layer]._replace(weight=weight)
        sleeper.set_weight(layer, weight, features)
        fresh = sleep_images(images, index, chain, weight_type=weight_type, **settings)
        assert_same(sleeper.present(images, index, **settings), fresh)
        assert_same(sleeper.present(images, index, **settings), fresh)


def test_weights_that_outgrow_16_bits_are_packed_wider(busy_sleep):
    images, index, chain = busy_sleep
    settings = {**SETTINGS, "competition": "image"}
    sleeper = Sleeper(chain, images.shape[1:])
    sleeper.present(images, index, **settings)
    chain[1] = chain[1]._replace(weight=chain[1].weight * 100_000, threshold=chain[1].threshold)
    sleeper.set_weight(1, chain[1].weight)
    assert_same(sleeper.present(images, index, **settings), sleep_images(images, index, chain, **settings))


def test_reach_of_each_type_is_checked(busy_sleep):
    images, index, chain = busy_sleep
    settings = {**SETTINGS, "competition": "image"}
    with pytest.raises(
        ValueError, match=r"beyond the 2\*\*24 up to which 'f32' is exact: take weight_type 'i16'"
    ):
        sleep_images(images, index, scaled(chain, 2**17), weight_type="f32", **settings)
    with pytest.raises(ValueError, match="are no case for 'i8': take weight_type 'i16'"):
        sleep_images(images, index, scaled(chain, 2**17), weight_type="i8", **settings)
    with pytest.raises(ValueError, match="'weight_type' must be one of i16, f32, i8, got 'u4'"):
        Sleeper.__init__.__wrapped__(object.__new__(Sleeper), chain, (1, 5, 6), weight_type="u4")
    sleeper = Sleeper(chain, (1, 5, 6))
    with pytest.raises(ValueError, match=r"'weight' must have shape \(6, 1, 3, 3\), got \(1, 1, 3, 3\)"):
        sleeper.set_weight(0, chain[0].weight[:1].copy())
    with pytest.raises(ValueError, match=r"'images' must be of shape \(1, 5, 6\) each, got \(1, 6, 5\)"):
        sleeper.present(images.reshape(19, 1, 6, 5), index, **settings)
