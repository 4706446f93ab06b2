"""A chain of spiking layers on the integer grid, and its form in memory for the fused kernel."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sleepdefense.kernels._checks import LARGEST_STEP, check_array, check_integer, check_pair, output_size


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


class PackedChain(NamedTuple):
    """The chain in flat arrays. Neurons lie (row, column, feature), so what an input feeds are neighbours."""

    shape: NDArray[np.int64]
    """(layer, 8): channels, height, width of the input; features, height, width; kernel height and width."""
    place: NDArray[np.int64]
    """(layer + 1, 6): where each layer begins in weight, bias, neurons, row reach, column reach, taps."""
    geometry: NDArray[np.int64]
    """(layer, 4): stride of row and column, padding of row and column."""
    weight: NDArray[Any]
    """Per layer (channel, kernel_h, kernel_w, feature), taps in the order of `_taps`; int16 or int32."""
    bias: NDArray[Any]
    """Per layer (feature,), in the type of the membranes."""
    threshold: NDArray[Any]
    """(layer,), in the type of the membranes."""
    row_reach: NDArray[np.int32]
    """For each input row of each layer: first output row, number of output rows, first tap."""
    column_reach: NDArray[np.int32]
    """The same for columns."""


def _taps(kernel: int, stride: int) -> NDArray[np.int64]:
    """Order the taps of one axis so that those which one input uses lie side by side, as its outputs do.

    Input x feeds output o through tap x + padding - o * stride: taps of one remainder, the highest first.
    """
    tap = np.arange(kernel)
    return tap[np.lexsort((-tap, tap % stride))]


def _reach(size: int, num_outputs: int, kernel: int, stride: int, padding: int) -> NDArray[np.int32]:
    """For each input along one axis: the first output it feeds, how many, and the place of the first tap."""
    place = np.argsort(_taps(kernel, stride))
    shifted = np.arange(size) + padding
    first = np.maximum(0, -((kernel - 1 - shifted) // stride))  # ceil((shifted - kernel + 1) / stride)
    last = np.minimum(num_outputs - 1, shifted // stride)
    count = np.maximum(0, last - first + 1)
    tap = place[np.where(count > 0, shifted - first * stride, 0)]
    return np.column_stack([first, count, tap]).astype(np.int32)


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
        before = shapes[-1]
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


def _is_narrow(layers: Sequence[ChainLayer], num_steps: int) -> bool:
    """Say whether 16-bit weights and 32-bit membranes hold everything; otherwise 32 and 64 bits do.

    A membrane starts at 0 and moves, in one step, by no more than the sum of all its |weights| and its
    |bias|; a reset happens above the threshold and leads towards 0.
    """
    most = 0
    fits = True
    for layer in layers:
        drive = np.sum(np.abs(layer.weight, dtype=np.int64), axis=(1, 2, 3))
        drive += np.abs(layer.bias, dtype=np.int64)
        most = max(most, num_steps * int(np.max(drive)))
        fits = fits and np.array_equal(layer.weight, layer.weight.astype(np.int16))
    if most >= 2**63:
        raise ValueError(f"a membrane may reach {most} in {num_steps} steps, beyond 64 bits: use fewer")
    return fits and most <= LARGEST_STEP


def pack_chain(
    layers: Sequence[ChainLayer], shapes: Sequence[tuple[int, int, int]], num_steps: int
) -> PackedChain:
    """Copy the chain into flat arrays; `shapes` are those of `chain_shapes`. The layers stay as they are."""
    shape, place, geometry = [], [[0] * 6], []
    weight, rows, columns = [], [], []
    for layer, before, after in zip(layers, shapes, shapes[1:], strict=False):
        strides = check_pair("stride", layer.stride, least=1)
        paddings = check_pair("padding", layer.padding, least=0)
        kernel_h, kernel_w = layer.weight.shape[2:]
        shape.append([*before, *after, kernel_h, kernel_w])
        geometry.append([*strides, *paddings])
        tapped = layer.weight[:, :, _taps(kernel_h, strides[0])][:, :, :, _taps(kernel_w, strides[1])]
        weight.append(tapped.transpose(1, 2, 3, 0).ravel())
        rows.append(_reach(before[1], after[1], kernel_h, strides[0], paddings[0]))
        columns.append(_reach(before[2], after[2], kernel_w, strides[1], paddings[1]))
        num_neurons, num_taps = after[0] * after[1] * after[2], after[0] * kernel_h * kernel_w
        sizes = [layer.weight.size, after[0], num_neurons, before[1], before[2], num_taps]
        place.append([begin + size for begin, size in zip(place[-1], sizes, strict=True)])
    narrow = _is_narrow(layers, num_steps)
    membrane = np.int32 if narrow else np.int64
    return PackedChain(
        shape=np.array(shape, dtype=np.int64),
        place=np.array(place, dtype=np.int64),
        geometry=np.array(geometry, dtype=np.int64),
        weight=np.concatenate(weight).astype(np.int16 if narrow else np.int32),
        bias=np.concatenate([layer.bias for layer in layers]).astype(membrane),
        threshold=np.array([layer.threshold for layer in layers], dtype=membrane),
        row_reach=np.concatenate(rows),
        column_reach=np.concatenate(columns),
    )
