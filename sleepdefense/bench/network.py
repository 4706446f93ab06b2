"""The network that the kernels are measured on: stages S1 to S4, with random weights on the integer grid."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sleepdefense.kernels import ChainLayer

GRID = 2**13
"""Units in 1.0."""
FLOAT_GRID = 2**9
"""The same where membranes are 32-bit floats, which are exact up to 2**24 units."""


class Geometry(NamedTuple):
    """One stage.

    Attributes:
        features: Number of its maps.
        kernel: Side of the square kernel, in pixels below.
        stride: In pixels below, along both axes.
        padding: In pixels below, along both axes.
        k: Most winners.
        radius: Reach of the inhibition, in pixels of the stage.
    """

    features: int
    kernel: int
    stride: int
    padding: int
    k: int
    radius: int


TABLE_3 = (
    Geometry(64, 5, 1, 2, k=5, radius=3),
    Geometry(64, 4, 2, 3, k=5, radius=2),
    Geometry(128, 4, 2, 1, k=8, radius=1),
    Geometry(256, 4, 2, 1, k=1, radius=0),
)
"""Talafha et al. 2023, Table 3: from an image of 28 x 28 pixels to 28, 16, 8 and 4 pixels, 78,848 neurons."""


def draw_weights(
    geometry: Sequence[Geometry], *, channels: int = 1, seed: int = 0
) -> tuple[NDArray[np.float64], ...]:
    """Draw weights u^2, u uniform in [0, 1): not trained, and never negative, which is hard for k-WTA.

    Args:
        geometry: First stage to last.
        channels: Of the image.
        seed: Of the weights.

    Returns:
        Per stage (feature, channel, kernel_h, kernel_w), in [0, 1).
    """
    generator = np.random.default_rng(seed)
    weights = []
    for stage in geometry:
        weights.append(generator.random((stage.features, channels, stage.kernel, stage.kernel)) ** 2)
        channels = stage.features
    return tuple(weights)


def on_grid(
    geometry: Sequence[Geometry], weights: Sequence[NDArray[np.float64]], *, unit: int
) -> tuple[ChainLayer, ...]:
    """Round weights to multiples of 1 / unit; the thresholds are still 1 unit.

    Args:
        geometry: First stage to last.
        weights: From `draw_weights`.
        unit: Grid units in 1.0.

    >>> [layer.weight.shape for layer in on_grid(TABLE_3, draw_weights(TABLE_3), unit=GRID)]
    [(64, 1, 5, 5), (64, 64, 4, 4), (128, 64, 4, 4), (256, 128, 4, 4)]
    """
    return tuple(
        ChainLayer(
            np.rint(weight * unit).astype(np.int32),
            bias=np.zeros(stage.features, dtype=np.int32),
            threshold=1,
            stride=stage.stride,
            padding=stage.padding,
        )
        for stage, weight in zip(geometry, weights, strict=True)
    )
