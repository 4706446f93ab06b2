"""A chain that is kept packed and told what changed is the chain that is packed anew."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sleepdefense.kernels import ChainLayer, Sleeper, sleep_images


@pytest.mark.parametrize("most", [50, 8000, 32000], ids=["small", "four beyond 16 bits", "large"])
def test_weights_that_changed_are_those_that_act(most):
    rng = np.random.default_rng(0)
    shapes = (70, 3, 3, 3), (66, 70, 3, 3)
    layers = [
        ChainLayer(rng.integers(-50, 50, shape).astype(np.int32), np.zeros(shape[0], np.int32), threshold=200)
        for shape in shapes
    ]
    images, index = rng.random((2, 3, 8, 8)).astype(np.float32), np.arange(2)
    options = {"seed": 0, "num_steps": 6, "competition": "image", "k": [2, 2], "radius": [0, 0]}
    options |= {"learns": [True, True], "record": True}
    kept = Sleeper(layers, (3, 8, 8))
    kept.present(images, index, **options)
    for _ in range(3):
        for number, layer in enumerate(layers):
            features = np.sort(rng.choice(len(layer.weight), 3, replace=False))
            weight = layer.weight.copy()
            weight[features] = rng.integers(-most, most, weight[features].shape)
            kept.set_weight(number, weight, features.tolist())
            layers[number] = layer._replace(weight=weight)
        found, expected = (
            kept.present(images, index, **options),
            sleep_images(images, index, layers, **options),
        )
        for name in ("membrane", "spikes", "potentiation", "depression"):
            for one, other in zip(getattr(found, name), getattr(expected, name), strict=True):
                assert_array_equal(one, other)
