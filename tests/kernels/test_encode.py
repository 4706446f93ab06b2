"""Bernoulli trains: the same as the twin's, whatever the batch, and of the right rate."""

import inspect

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepdefense.kernels import bernoulli_train

INTENSITIES = st.sampled_from([0.0, 2.0**-32, 2.0**-33, 1e-7, 0.1, 0.25, 0.5, 0.999, 1.0])


@st.composite
def batches(draw):
    num_images, shape = draw(st.integers(0, 3)), draw(st.sampled_from([(1,), (4,), (1, 2, 3), (3, 1, 3)]))
    size = num_images * int(np.prod(shape))
    pixels = draw(st.lists(INTENSITIES, min_size=size, max_size=size))
    index = draw(st.lists(st.integers(0, 2**62), min_size=num_images, max_size=num_images))
    return np.array(pixels, dtype=np.float32).reshape(num_images, *shape), np.array(index, dtype=np.int64)


@given(batches(), st.integers(0, 2**63 - 1), st.integers(0, 2**31 - 100), st.integers(0, 4))
def test_train_is_the_twins(batch, seed, first_step, num_steps):
    images, index = batch
    train = bernoulli_train(images, index, seed=seed, first_step=first_step, num_steps=num_steps)
    twin = naive.bernoulli_train(images, index, seed=seed, first_step=first_step, num_steps=num_steps)
    np.testing.assert_array_equal(train, twin, strict=True)


def test_generator_is_splitmix64():
    # The first outputs of splitmix64 from state 0, as in its authors' reference code.
    state, outputs = 0, []
    for _ in range(3):
        outputs.append(naive.splitmix64(state))
        state += naive.GOLDEN
    assert outputs == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]


def test_train_does_not_depend_on_batch_or_order_or_parts():
    rng = np.random.default_rng(0)
    images = rng.random((5, 1, 3, 3), dtype=np.float32)
    index = np.array([3, 0, 10**12, 7, 8])
    train = bernoulli_train(images, index, seed=9, first_step=0, num_steps=6)
    order = np.array([4, 1, 0, 3, 2])
    shuffled = bernoulli_train(images[order], index[order], seed=9, first_step=0, num_steps=6)
    np.testing.assert_array_equal(shuffled, train[:, order])
    later = bernoulli_train(images[2:3], index[2:3], seed=9, first_step=4, num_steps=2)
    np.testing.assert_array_equal(later, train[4:, 2:3])


def test_spikes_depend_on_seed_image_step_and_pixel():
    half = np.full((2, 64), 0.5, dtype=np.float32)
    train = bernoulli_train(half, np.array([0, 1]), seed=0, first_step=0, num_steps=2)
    other = bernoulli_train(half, np.array([0, 1]), seed=1, first_step=0, num_steps=2)
    for a, b in [(train[0, 0], train[0, 1]), (train[0, 0], train[1, 0]), (train, other)]:
        share = np.mean(a == b)
        assert 0.2 < share < 0.8  # 0.5 +- 4.8 standard errors (64 fair coins)


def test_rate_is_the_intensity():
    intensity = np.array([0.02, 0.1, 0.5, 0.9], dtype=np.float32)
    images = np.tile(intensity, (100, 1))
    train = bernoulli_train(images, np.arange(100), seed=3, first_step=0, num_steps=100)
    rate = train.mean(axis=(0, 1))
    np.testing.assert_array_less(np.abs(rate - intensity), 5 * np.sqrt(intensity * (1 - intensity) / 10_000))


def test_never_and_always():
    images = np.array([[0.0, 1.0]], dtype=np.float32)
    train = bernoulli_train(images, np.array([0]), seed=0, first_step=0, num_steps=1000)
    assert train.sum(axis=(0, 1)).tolist() == [0, 1000]


def draw(index, pixel):
    """The 32-bit number that decides on a pixel in step 0 of seed 0."""
    word = naive.splitmix64(naive.splitmix64(index))
    return word % 2**32 if pixel == 0 else word // 2**32


@pytest.mark.parametrize("pixel", [0, 1])
def test_draw_must_be_below_the_bound(pixel):
    # Look for a draw that a float32 intensity can hit exactly: its low 8 bits are 0.
    index = next(i for i in range(100_000) if draw(i, pixel) % 256 == 0)
    for above, spike in ((0, 0), (256, 1)):
        images = np.zeros((1, 2), dtype=np.float32)
        images[0, pixel] = (draw(index, pixel) + above) / 2**32
        train = bernoulli_train(images, np.array([index]), seed=0, first_step=0, num_steps=1)
        assert train[0, 0, pixel] == spike


def test_bound_is_rounded_to_the_nearest():
    # Look for a draw small enough for a float32 intensity to lie a quarter or three quarters above it.
    index = next(i for i in range(100_000) if draw(i, 0) < 2**22)
    for above, spike in ((0.25, 0), (0.75, 1)):
        images = np.array([[(draw(index, 0) + above) / 2**32]], dtype=np.float32)
        train = bernoulli_train(images, np.array([index]), seed=0, first_step=0, num_steps=1)
        assert train.item() == spike


GOOD = np.zeros((2, 3), dtype=np.float32)


@pytest.mark.parametrize(
    ("images", "index", "settings", "message"),
    [
        (GOOD + 1.1, [0, 1], {}, r"'images' must lie in \[0, 1\]"),
        (GOOD - 0.1, [0, 1], {}, r"'images' must lie in \[0, 1\]"),
        (GOOD * np.nan, [0, 1], {}, r"'images' must lie in \[0, 1\] and hold no NaN"),
        (GOOD.astype(float), [0, 1], {}, "'images' must be an array of float32, got float64"),
        (GOOD.T, [0, 1, 2], {}, "'images' must be C-contiguous"),
        (GOOD, [0], {}, "'index' must number each of the 2 images, got 1 numbers"),
        (GOOD, [0, -1], {}, "'index' must not be negative, got -1"),
        (GOOD, [0, 1], {"seed": -1}, "'seed' must be between 0 and"),
        (GOOD, [0, 1], {"num_steps": 1.5}, "'num_steps' must be an integer, got 1.5"),
        (
            GOOD,
            [0, 1],
            {"first_step": 2**31 - 2, "num_steps": 2},
            r"'first_step \+ num_steps' must be between",
        ),
    ],
)
def test_wrong_input_is_named(images, index, settings, message):
    unchecked_types = inspect.unwrap(bernoulli_train)
    with pytest.raises(ValueError, match=message):
        unchecked_types(images, np.array(index), **{"seed": 0, "first_step": 0, "num_steps": 1, **settings})
