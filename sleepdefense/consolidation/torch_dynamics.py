"""Many steps of many images of one layer at once: the drive as one matrix product, then a scan over time.

Potentials are whole numbers of grid units, held in floats that are exact for them: float32 while nothing
exceeds 2**24, else float64. The drive is a matrix product over all windows and not a convolution of the
library: on a GPU that one may go through Winograd's or Fourier's transform, whose numbers between are no
integers. A product of integers is exact in any order as long as TF32 is off (`full_precision`), so nothing
is left to be rounded. Weights as two planes of int8 would be exact too, and faster, but torch has no public
product of int8 matrices.
"""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from sleepdefense.consolidation.plasticity import Shape3
from sleepdefense.errors import SleepError
from sleepdefense.kernels import ChainLayer

_EXACT = {torch.float32: 2**24, torch.float64: 2**53}
"""The whole numbers up to which a float holds each one."""


class TorchLayer(NamedTuple):
    """A layer on the device, in units of 2**-grid_bits / area of its pooling window."""

    weight: Float[Tensor, "feature channel kernel_h kernel_w"]
    """Whole numbers, in a type in which every drive is exact."""
    bias: Float[Tensor, " feature"]
    """Whole numbers, in a type in which every potential is exact."""
    threshold: int
    stride: tuple[int, int]
    padding: tuple[int, int]
    pool: tuple[int, int]
    highest: int
    """What no potential exceeds."""


def to_device(layer: ChainLayer, *, num_steps: int, device: torch.device) -> TorchLayer:
    """Return the layer with the types that hold what it may reach in so many steps.

    A membrane starts at 0 and moves, in one step, by no more than the sum of all its |weights| and its
    |bias|; a reset happens above the threshold and leads towards 0.

    Raises:
        SleepError: A potential may reach 2**53.
    """
    area = layer.pool[0] * layer.pool[1]
    weight, bias = layer.weight.astype(np.int64), layer.bias.astype(np.int64) * area
    reach = np.abs(weight).sum(axis=(1, 2, 3)) * area
    highest = max(num_steps * int((reach + np.abs(bias)).max()), layer.threshold * area)
    return TorchLayer(
        weight=torch.from_numpy(weight).to(device, _float_for(int(reach.max()))),
        bias=torch.from_numpy(bias).to(device, _float_for(highest)),
        threshold=layer.threshold * area,
        stride=_pair(layer.stride),
        padding=_pair(layer.padding),
        pool=layer.pool,
        highest=highest,
    )


def visible_shape(layer: TorchLayer, before: Shape3) -> Shape3:
    """Return the shape of what the layer sees, pooled, of a layer (channel, height, width) before it."""
    return before[0], before[1] // layer.pool[0], before[2] // layer.pool[1]


def hidden_shape(layer: TorchLayer, before: Shape3) -> Shape3:
    """Return the shape (feature, height, width) of its neurons."""
    _, *visible = visible_shape(layer, before)
    features, _, *kernel = layer.weight.shape
    height, width = (
        (size + 2 * rim - span) // stride + 1
        for size, span, stride, rim in zip(visible, kernel, layer.stride, layer.padding, strict=True)
    )
    return features, height, width


def pooled(
    values: Shaped[Tensor, "*batch height width"], pool: tuple[int, int]
) -> Shaped[Tensor, "*batch pooled_h pool_h pooled_w pool_w"]:
    """Cut the last two axes into windows side by side; a remainder is dropped."""
    height, width = values.shape[-2] // pool[0], values.shape[-1] // pool[1]
    whole = values[..., : height * pool[0], : width * pool[1]]
    cut: Tensor = whole.unflatten(-1, (width, pool[1])).unflatten(-3, (height, pool[0]))
    return cut


def windows(
    values: Shaped[Tensor, "batch channel height width"], layer: TorchLayer
) -> Shaped[Tensor, "batch hidden_h hidden_w kernel_h kernel_w channel"]:
    """Return what each neuron sees of pooled values, zeros in the rim; a view, to be copied in long runs."""
    rows, columns = layer.padding
    rim = F.pad(values.movedim(1, -1), (0, 0, columns, columns, rows, rows)).contiguous()
    kernel = layer.weight.shape[2:]
    seen = rim.unfold(1, kernel[0], layer.stride[0]).unfold(2, kernel[1], layer.stride[1])
    return seen.movedim(3, -1)


def drive(
    spikes: Bool[Tensor, "time image channel height width"], layer: TorchLayer
) -> Float[Tensor, "time image feature hidden_h hidden_w"]:
    """Return the current into every neuron in every step, its bias included."""
    signal = spikes.flatten(0, 1).to(layer.weight.dtype)
    if layer.pool != (1, 1):
        signal = pooled(signal, layer.pool).sum((-3, -1))
    current = torch.tensordot(
        windows(signal, layer), layer.weight.movedim(1, -1), dims=((3, 4, 5), (1, 2, 3))
    )
    current = (current.to(layer.bias.dtype) + layer.bias).movedim(-1, 1)
    every_step: Tensor = current.unflatten(0, spikes.shape[:2])
    return every_step


def integrate_(
    current: Float[Tensor, "time image feature height width"],
    membrane: Float[Tensor, "image feature height width"],
    threshold: int,
) -> Float[Tensor, "image feature height width"]:
    """Turn, in place, the current into the potential before the reset, step after step.

        V = V + I;  a neuron fires if V > threshold, and then V = V - threshold

    Args:
        current: From `drive`, (time, image, feature, height, width). Changed.
        membrane: Before the first step, (image, feature, height, width).
        threshold: In the units of both.

    Returns:
        The membrane after the last step.
    """
    for potential in current:
        potential += membrane
        membrane = potential - threshold * (potential > threshold)
    return membrane


def _float_for(highest: int) -> torch.dtype:
    """Return the shortest float that holds all whole numbers so far."""
    for dtype, limit in _EXACT.items():
        if highest <= limit:
            return dtype
    raise SleepError(
        f"a membrane may reach {highest} grid units, beyond the 2**53 that are exact: take fewer steps"
    )


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return value if isinstance(value, tuple) else (value, value)
