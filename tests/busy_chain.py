"""A chain in which much happens, and what to ask of its sleep."""

import numpy as np
import pytest

from sleepdefense.kernels import ChainLayer


def busy_chain():
    """Nineteen images and three layers in which much happens."""
    rng = np.random.default_rng(1)
    images = rng.random((19, 1, 5, 6), dtype=np.float32)  # three chunks of at most 8
    chain = [
        ChainLayer(rng.integers(-3, 6, (6, 1, 3, 3), dtype=np.int32), np.ones(6, dtype=np.int32), 7, 1, 1),
        ChainLayer(rng.integers(-3, 5, (5, 6, 4, 4), dtype=np.int32), np.zeros(5, dtype=np.int32), 9, 2, 3),
        ChainLayer(rng.integers(-2, 4, (4, 5, 4, 5), dtype=np.int32), np.zeros(4, dtype=np.int32), 5),
    ]
    return images, np.arange(100, 119), chain


SETTINGS = {
    "seed": 5,
    "num_steps": 9,
    "k": [3, 2, 1],
    "radius": [2, 1, 0],
    "learns": [True] * 3,
    "record": True,
}
COMPETITIONS = pytest.mark.parametrize("competition", ["image", "step", "none"])


def assert_same(record, other):
    for field, values, others in zip(record._fields, record, other, strict=True):
        for value, twin in zip(values, others, strict=True):
            np.testing.assert_array_equal(value, twin, err_msg=field, strict=True)
