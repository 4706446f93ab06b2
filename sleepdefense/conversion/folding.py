"""Fold a batch norm into the linear map before it, and unfold a change of the weights on the way back."""

from typing import Any

import torch
from torch import Tensor, nn

from sleepdefense.errors import ConversionError

NEGLIGIBLE_GAIN = 1e-12
"""A channel that its batch norm multiplies by less is dead: no change of its weights can come back."""


def batch_norm_gain(norm: Any) -> Tensor:
    """Return gamma / sqrt(var + eps) of a batch norm at rest, (channel,), in float64."""
    variance = norm.running_var.double()
    gamma = torch.ones_like(variance) if norm.weight is None else norm.weight.double()
    return gamma / torch.sqrt(variance + norm.eps)


def along_outputs(gain: Tensor, linear: nn.Module | None, ndim: int) -> Tensor:
    """Shape a value for each output feature so that it broadcasts over the weight of `linear`.

    Transposed convolutions keep their output features on the second axis.
    """
    axis = 1 if isinstance(linear, nn.ConvTranspose2d) else 0
    shape = [1] * ndim
    shape[axis] = -1
    return gain.view(shape)


def folded(linear: Any, norm: Any, name: str) -> tuple[Tensor, Tensor | None]:
    """Return weight and bias of the map that does both, in float64, with gradients to those of the layers.

        weight' = weight * g,    bias' = beta + (bias - mean) * g,    g = gamma / sqrt(var + eps)

    Args:
        linear: The layer with weights, or None for a batch norm on its own.
        norm: The batch norm that follows it, or None.
        name: For the error message.

    Raises:
        ConversionError: A transposed convolution with groups is followed by a batch norm.

    Source:
        Rueckauer et al. 2017, section 2.2, for convolutions; the same algebra for transposed ones.
    """
    if linear is None:
        gain = batch_norm_gain(norm)
        beta = torch.zeros_like(gain) if norm.bias is None else norm.bias.double()
        return gain, beta - norm.running_mean.double() * gain
    weight = linear.weight.double()
    bias = None if linear.bias is None else linear.bias.double()
    if norm is None:
        return weight, bias
    if isinstance(linear, nn.ConvTranspose2d) and linear.groups != 1:
        raise ConversionError(
            f"layer {name!r} is a transposed convolution with {linear.groups} groups before a batch norm, "
            "which cannot be folded. Use groups=1."
        )
    gain = batch_norm_gain(norm)
    beta = torch.zeros_like(gain) if norm.bias is None else norm.bias.double()
    shifted = -norm.running_mean.double() if bias is None else bias - norm.running_mean.double()
    return weight * along_outputs(gain, linear, weight.ndim), beta + shifted * gain


@torch.no_grad()
def fold(linear: Any, norm: Any, name: str) -> tuple[Tensor, Tensor | None]:
    """Return copies of what `folded` returns, without gradients."""
    weight, bias = folded(linear, norm, name)
    return weight.detach().clone(), None if bias is None else bias.detach().clone()


def normalised(
    weight: Tensor, bias: Tensor | None, scale_in: float, scale_out: float
) -> tuple[Tensor, Tensor | None]:
    """Return weight * scale_in / scale_out and bias / scale_out, in float32."""
    return (weight * (scale_in / scale_out)).float(), None if bias is None else (bias / scale_out).float()
