"""Spiking layers of snntorch. The only file that imports snntorch."""

from functools import cache

import snntorch
import torch
from torch import Tensor

from sleepdefense.spiking.backend import AbstractBackend, FireResult


@cache
def leaky_layer(threshold: float) -> snntorch.Leaky:
    """Return snntorch's own layer: (current, membrane) -> (spikes, membrane before the reset).

    It is built once for a threshold: snntorch keeps every layer ever built alive in a class-level list. (With
    `reset_delay=False` snntorch 1.0 is another neuron: if its membrane is still above the threshold after the
    reset, it fires next above twice the threshold only.)
    """
    return snntorch.Leaky(beta=1.0, threshold=threshold, reset_mechanism="subtract")


class SnntorchBackend(AbstractBackend):
    """`snntorch.Leaky` with beta = 1 and reset by subtraction, with its surrogate gradient (arctan).

    snntorch resets one step late: the membrane it returns is the one before the reset, and the next step
    subtracts the threshold. Without leak that is the same neuron. The membrane is always passed, since a
    layer otherwise remembers the one of its last call.
    """

    def step(self, current: Tensor, state: Tensor | None, threshold: float) -> FireResult:
        """Advance a population by one step; see `AbstractBackend.step`."""
        current = current.double()
        layer = leaky_layer(threshold).to(current.device)
        membrane = torch.zeros_like(current) if state is None else state
        spikes, membrane = layer(current, membrane)
        layer.mem = torch.zeros(0)
        return FireResult(spikes.float(), membrane, membrane)
