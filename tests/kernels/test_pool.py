"""Average pooling in front of a layer, by hand and against a convolution that does both."""

import numpy as np
import pytest
from busy_chain import COMPETITIONS

from sleepdefense.kernels import ChainLayer, sleep_images

SETTINGS = {"seed": 3, "num_steps": 7, "k": [2, 2], "radius": [1, 1], "learns": [False, True], "record": True}


def test_pooled_spikes_are_averaged_and_the_pixel_seen_once():
    # Four pixels that always spike, two of them in the window's first column: mean 1, weight 3, threshold 5.
    passes = ChainLayer(np.full((1, 1, 1, 1), 2, np.int32), np.zeros(1, np.int32), 1)
    pooled = ChainLayer(np.full((1, 1, 1, 1), 3, np.int32), np.array([1], np.int32), 5, pool=(2, 2))
    image = np.array([[[[1, 1], [0, 0]]]], dtype=np.float32)  # the mean is 1/2: 3 / 2 + 1 a step
    record = sleep_images(
        image, np.array([0]), [passes, pooled], seed=0, num_steps=4, competition="none", k=[1, 1],
        radius=[0, 0], learns=[False, True], record=True,
    )  # fmt: skip
    # V: 2.5, 5.0, 7.5 (fires, 2.5), 5.0; in quarters 20 at the end.
    assert record.spikes[1].ravel().tolist() == [0, 0, 1, 0]
    assert record.membrane[1].item() == 20
    assert (record.potentiation[1].item(), record.depression[1].item()) == (1, 0)


@COMPETITIONS
def test_pool_and_convolution_fire_as_one_larger_convolution(competition):
    rng = np.random.default_rng(7)
    images = rng.random((5, 2, 8, 8), dtype=np.float32)
    first = ChainLayer(rng.integers(-3, 6, (5, 2, 3, 3), dtype=np.int32), np.zeros(5, np.int32), 6, 1, 1)
    small = rng.integers(-4, 7, (4, 5, 2, 2), dtype=np.int32)
    pooled = ChainLayer(small, np.array([1, 0, -1, 2], np.int32), 3, 1, 1, pool=(2, 4))
    large = np.repeat(np.repeat(small, 2, axis=2), 4, axis=3)
    single = ChainLayer(large, pooled.bias * 8, 24, (2, 4), (2, 4))
    settings = SETTINGS | {"competition": competition}
    record = sleep_images(images, np.arange(5), [first, pooled], **settings)
    other = sleep_images(images, np.arange(5), [first, single], **settings)
    assert record.spike_count.min() > 0
    np.testing.assert_array_equal(record.spikes[1], other.spikes[1])
    np.testing.assert_array_equal(record.membrane[1], other.membrane[1])
    np.testing.assert_array_equal(record.winners, other.winners)


@pytest.mark.parametrize(
    ("pool", "message"),
    [
        ((3, 1), r"'layers\[0\].pool' must be a window whose area is a power of two, got \(3, 1\)"),
        ((4, 1), r"'layers\[0\].pool': a window of \(4, 1\) does not fit an input of 3 x 3"),
        ((0, 1), r"'layers\[0\].pool' must be between 1 and"),
    ],
)
def test_windows_are_checked(pool, message):
    layer = ChainLayer(np.ones((1, 1, 1, 1), np.int32), np.zeros(1, np.int32), 1, pool=pool)
    with pytest.raises(ValueError, match=message):
        sleep_images(
            np.zeros((1, 1, 3, 3), np.float32), np.array([0]), [layer], seed=0, num_steps=1,
            competition="image", k=[1], radius=[0], learns=[True],
        )  # fmt: skip
