"""A chain of spiking layers on the integer grid."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sleepdefense.kernels._checks import check_array, check_integer, check_pair, output_size


class ChainLayer(NamedTuple):
    """One layer of integrate-and-fire neurons, fed by a convolution.

    All numbers are integers in units of 2**-grid_bits, so that every sum is exact and needs no order. A
    linear layer is a convolution whose kernel covers its whole input: weight (feature, inputs) of a layer
    that reads a flattened (channel, height, width) becomes (feature, channel, height, width), stride 1,
    padding 0, by a plain reshape, because flattening puts the channel first.
    """

    weight: NDArray[np.int32]
    """(feature, channel, kernel_h, kernel_w), in grid units."""
    bias: NDArray[np.int32]
    """Current into each neuron of a feature at every step, (feature,), in grid units."""
    threshold: int
    """A neuron fires above it and is lowered by it, > 0, in grid units."""
    stride: int | tuple[int, int] = 1
    """Distance between neighbouring receptive fields, in pixels; one number, or (row, column)."""
    padding: int | tuple[int, int] = 0
    """Width of the rim of silent units around the input, in pixels; one number, or (row, column)."""
    pool: tuple[int, int] = (1, 1)
    """The spikes below are averaged over windows of so many pixels, before the convolution: side by side,
    without rim, a remainder dropped. The area must be a power of two. A pooled pixel is a visible unit that
    spikes when any unit of its window does. Potentials and membranes then count in units of 2**-grid_bits /
    area; weight, bias and threshold stay in 2**-grid_bits."""


def chain_shapes(
    layers: Sequence[ChainLayer], image_shape: tuple[int, int, int]
) -> list[tuple[int, int, int]]:
    """Check the layers and return the shape (channel, height, width) of the input and of each layer's output.

    Raises:
        ValueError: A layer has an array of another type or shape, a number out of range, or does not fit the
            one before it.
    """
    if not layers:
        raise ValueError("'layers' is empty: a chain needs at least one layer")
    shapes = [image_shape]
    for number, layer in enumerate(layers):
        name = f"layers[{number}]"
        check_array(f"{name}.weight", layer.weight, np.int32, "feature channel kernel_h kernel_w")
        check_array(f"{name}.bias", layer.bias, np.int32, "feature")
        check_integer(f"{name}.threshold", layer.threshold, least=1)
        strides = check_pair(f"{name}.stride", layer.stride, least=1)
        paddings = check_pair(f"{name}.padding", layer.padding, least=0)
        num_features, num_channels, *kernel = layer.weight.shape
        if 0 in layer.weight.shape:
            raise ValueError(f"'{name}.weight' is empty: it has shape {layer.weight.shape}")
        if layer.bias.shape != (num_features,):
            raise ValueError(f"'{name}.bias' must have shape ({num_features},), got {layer.bias.shape}")
        before = _pooled(name, shapes[-1], layer.pool)
        if num_channels != before[0]:
            raise ValueError(
                f"'{name}' reads {num_channels} channels, but what comes before it has {before[0]}"
            )
        height, width = (
            output_size(size, span, step, rim)
            for size, span, step, rim in zip(before[1:], kernel, strides, paddings, strict=True)
        )
        if height < 1 or width < 1:
            raise ValueError(
                f"'{name}': a kernel of {kernel[0]} x {kernel[1]} pixels does not fit an input of "
                f"{before[1]} x {before[2]} with padding {paddings}"
            )
        shapes.append((num_features, height, width))
    return shapes


def _pooled(name: str, shape: tuple[int, int, int], pool: tuple[int, int]) -> tuple[int, int, int]:
    """Return the shape of what a layer sees."""
    windows = check_pair(f"{name}.pool", pool, least=1)
    area = windows[0] * windows[1]
    if area & (area - 1):
        raise ValueError(
            f"'{name}.pool' must be a window whose area is a power of two, got {pool}: other averages are no "
            "multiples of a power of two, and their sums not exact"
        )
    height, width = shape[1] // windows[0], shape[2] // windows[1]
    if height < 1 or width < 1:
        raise ValueError(
            f"'{name}.pool': a window of {pool} does not fit an input of {shape[1]} x {shape[2]}"
        )
    return shape[0], height, width
