"""One linear map of a spiking network, with sums that are exact.

Weights and biases act rounded to multiples of 2**-grid_bits. Then every sum of spikes times weights fits the
24 bits of a float32 (or the 53 of a float64 where the signal is graded), so that the result does not depend
on the order of summation: any batch split, thread count, simulator or processor gives the same spikes.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

GRID_BITS = 13
SIGNAL_BITS = 16
"""Graded signals (mean rates, averages, pixels) meet weights rounded to multiples of 2**-16."""


def snap(value: Tensor, bits: int) -> Tensor:
    """Round to multiples of 2**-bits, half to even; the gradient passes unchanged.

    >>> snap(torch.tensor([0.3, -0.3]), 2)
    tensor([ 0.2500, -0.2500])
    """
    rounded = torch.round(value.detach() * 2.0**bits) * 2.0**-bits
    if not value.requires_grad:
        return rounded
    return value + (rounded - value.detach())  # exact: the difference fits the mantissa


@dataclass(frozen=True, slots=True, kw_only=True)
class Synapses:
    """A convolution, transposed convolution, linear or per-channel affine map.

    Attributes:
        kind: "conv1d", "conv2d", "conv_transpose2d", "linear" or "affine".
        weight: The float32 master, normalised, with the batch norm folded in. Laid out as torch does;
            (channel,) for "affine".
        bias: Current added at every step, (feature,), or None.
        options: stride, padding, dilation, groups, output_padding, as torch takes them.
        grid_bits: Weights and bias act rounded to multiples of 2**-grid_bits.
    """

    kind: str
    weight: Tensor
    bias: Tensor | None
    options: Mapping[str, Any]
    grid_bits: int

    def with_weight(self, weight: Tensor) -> "Synapses":
        """Return the same map with another master weight."""
        return replace(self, weight=weight)

    def on_grid(self, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor | None]:
        """Return weight and bias as they act, rounded to the grid."""
        weight = snap(self.weight.to(device=device, dtype=torch.float64), self.grid_bits).to(dtype)
        if self.bias is None:
            return weight, None
        return weight, snap(self.bias.to(device=device, dtype=torch.float64), self.grid_bits).to(dtype)

    def current(self, signal: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Return the current that `signal` drives, (batch, *unit).

        Args:
            signal: float32 spikes (exactly 0, 1 or -1), or a graded float64 signal, (batch, *unit).
            weight: From `on_grid`, in the dtype of `signal`.
            bias: From `on_grid`, in the dtype of `signal`.
        """
        if signal.dtype == torch.float64:
            signal = snap(signal, SIGNAL_BITS)
        if signal.device.type == "cpu" or signal.dtype == torch.float64:
            return self._map(signal, weight, bias)
        with full_precision():  # a GPU may take another algorithm, off by less than half a grid step
            return snap(self._map(signal, weight, bias), self.grid_bits)

    def _map(self, signal: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if self.kind == "linear":
            return F.linear(signal, weight, bias)
        if self.kind == "conv1d":
            return F.conv1d(signal, weight, bias, **self.options)
        if self.kind == "conv2d":
            return F.conv2d(signal, weight, bias, **self.options)
        if self.kind == "conv_transpose2d":
            return F.conv_transpose2d(signal, weight, bias, **self.options)
        shape = (-1, *[1] * (signal.ndim - 2))
        current = signal * weight.view(shape)
        return current if bias is None else current + bias.view(shape)


@contextmanager
def full_precision() -> Iterator[None]:
    """Keep a GPU from rounding what it multiplies to 10 bits (TF32)."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = False
    try:
        with torch.backends.cudnn.flags(allow_tf32=False):
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


def grid_bits_for(weight: Tensor, bias: Tensor | None, fan_in_axes: tuple[int, ...]) -> int:
    """Return the finest grid on which every sum over the fan-in is exact and every weight fits int16.

    Args:
        weight: Normalised weights.
        bias: Normalised biases, (feature,), or None.
        fan_in_axes: The axes of `weight` that a unit sums over.

    Returns:
        Bits, at most 13.
    """
    largest = float(weight.abs().max())
    total = weight.abs().double().sum(fan_in_axes) if fan_in_axes else weight.abs().double()
    reach = float(total.max()) + (0.0 if bias is None else float(bias.abs().max()))
    return finest_grid(largest, reach)


def finest_grid(largest: float, reach: float) -> int:
    """Return the bits, at most 13, of the finest grid on which all this is exact.

    Args:
        largest: The largest |w|.
        reach: The most that |w|, summed over the fan-in of a unit, and its |bias| come to.
    """
    bits = GRID_BITS
    while bits > 0 and (largest * 2**bits > 32767 or reach * 2**bits > 2**23):
        bits -= 1
    return bits
