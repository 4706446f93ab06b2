"""Small chains of layers in whole numbers, images for them, and who learns: small integers force ties."""

from typing import Any

import naive
import numpy as np
import pytest
import torch
from hypothesis import strategies as st

from sleepdefense.kernels import ChainLayer

DEVICES = pytest.mark.parametrize(
    "device",
    ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"))],
)
_PAIRS = st.tuples(st.integers(1, 3), st.integers(1, 3))
_RIMS = st.tuples(st.integers(0, 2), st.integers(0, 2))
_POOLS = st.sampled_from([(1, 1), (1, 1), (2, 2), (1, 2), (4, 1)])
_SCALES = st.sampled_from([1, 1, 1, 100_000, 10_000_000])  # the last two need float64, and wide weights


@st.composite
def layers(draw, before, rng, *, scale):
    """One layer of small signed weights, times `scale`, over a layer of shape `before`; and its shape."""
    pool = draw(_POOLS)
    if pool[0] > before[1] or pool[1] > before[2]:
        pool = (1, 1)
    visible = (before[0], before[1] // pool[0], before[2] // pool[1])
    num_features = draw(st.integers(1, 5))
    if draw(st.sampled_from([False, False, True])):
        kernel, stride, padding = visible[1:], 1, 0  # a linear layer
    else:
        padding, stride = draw(_RIMS), draw(_PAIRS)
        kernel = tuple(draw(st.integers(1, min(4, visible[1 + i] + 2 * padding[i]))) for i in (0, 1))
    weight = rng.integers(-2, 4, (num_features, visible[0], *kernel)) * scale
    bias = rng.integers(-1, 2, num_features) * scale * draw(st.integers(0, 1))
    threshold = draw(st.integers(1, 6)) * scale
    layer = ChainLayer(weight.astype(np.int32), bias.astype(np.int32), threshold, stride, padding, pool)
    plain = ChainLayer(layer.weight, layer.bias, threshold, stride, padding)
    return layer, naive.convolve(np.zeros(visible), plain).shape


@st.composite
def chain_sleeps(draw):
    """Images, their numbers, one to three layers, and the settings of `kernels.sleep_images`."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = draw(st.tuples(st.integers(1, 2), st.integers(3, 7), st.integers(3, 7)))
    images = rng.choice([0.0, 0.1, 0.5, 1.0], (draw(st.integers(1, 3)), *shape)).astype(np.float32)
    index = rng.integers(0, 10**9, len(images))
    scale = draw(_SCALES)
    chain = []
    for _ in range(draw(st.integers(1, 3))):
        layer, shape = draw(layers(shape, rng, scale=scale))
        chain.append(layer)

    def for_each(values):
        return draw(st.lists(values, min_size=len(chain), max_size=len(chain)))

    competition = draw(st.sampled_from(["image", "step", "none"]))
    settings = {
        "seed": draw(st.integers(0, 2**63 - 1)),
        "num_steps": draw(st.integers(1, 6)),
        "competition": competition,
        "k": for_each(st.integers(1, 4)),
        "radius": for_each(st.integers(0, 2)),
        "learns": for_each(st.booleans()),
        "depress_outside": draw(st.booleans()),
        "as_printed": competition != "none" and draw(st.booleans()),
    }
    return images, index, chain, settings


def busy_chain() -> tuple[Any, Any, list[ChainLayer]]:
    """Nineteen images, their numbers, and three layers in which much happens."""
    rng = np.random.default_rng(1)
    images = rng.random((19, 1, 5, 6), dtype=np.float32)
    chain = [
        ChainLayer(rng.integers(-3, 6, (6, 1, 3, 3), dtype=np.int32), np.ones(6, dtype=np.int32), 7, 1, 1),
        ChainLayer(rng.integers(-3, 5, (5, 6, 4, 4), dtype=np.int32), np.zeros(5, dtype=np.int32), 9, 2, 3),
        ChainLayer(rng.integers(-2, 4, (4, 5, 4, 5), dtype=np.int32), np.zeros(4, dtype=np.int32), 5),
    ]
    return images, np.arange(100, 119), chain
