"""Spiking layers of snntorch. The only file that imports snntorch."""

from functools import cache

import snntorch
import torch
from snntorch.surrogate import atan
from torch import Tensor

from sleepdefense.spiking.backend import AbstractBackend, FireResult

SLOPE = 2.0
"""snntorch's own slope of the arctan."""


@cache
def leaky_layer(threshold: float, slope: float = SLOPE) -> snntorch.Leaky:
    """Return snntorch's own layer: (current, membrane) -> (spikes, membrane before the reset).

    It is built once for a threshold and a slope: snntorch keeps every layer ever built alive in a class-level
    list. (With `reset_delay=False` snntorch 1.0 is another neuron: if its membrane is still above the
    threshold after the reset, it fires next above twice the threshold only.)
    """
    return snntorch.Leaky(
        beta=1.0, threshold=threshold, reset_mechanism="subtract", spike_grad=atan(alpha=slope)
    )


class SnntorchBackend(AbstractBackend):
    """`snntorch.Leaky` with beta = 1 and reset by subtraction, with its surrogate gradient (arctan).

    snntorch resets one step late: the membrane it returns is the one before the reset, and the next step
    subtracts the threshold. Without leak that is the same neuron. The membrane is always passed, since a
    layer otherwise remembers the one of its last call.

    Backwards, with u the distance of the membrane from the threshold, a spike counts as

        d spike / d u = slope / 2 / (1 + (pi / 2 * slope * u)^2)

    and a reset as a constant.

    Args:
        slope: Of the surrogate at the threshold, > 0; a gentle one reaches neurons far from firing.
    """

    def __init__(self, slope: float = SLOPE) -> None:
        self.slope = slope

    def step(self, current: Tensor, state: Tensor | None, threshold: float) -> FireResult:
        """Advance a population by one step; see `AbstractBackend.step`."""
        current = current.double()
        layer = leaky_layer(threshold, self.slope).to(current.device)
        membrane = torch.zeros_like(current) if state is None else state
        spikes, membrane = layer(current, membrane)
        layer.mem = torch.zeros(0)
        return FireResult(spikes.float(), membrane, membrane)
