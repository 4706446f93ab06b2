"""Spiking layers of norse. The only file that imports norse."""

import torch
from norse.torch.functional.iaf import IAFFeedForwardState, IAFParameters, iaf_feed_forward_step
from torch import Tensor

from sleepdefense.spiking.backend import AbstractBackend, FireResult


class NorseBackend(AbstractBackend):
    """norse's integrate-and-fire step, with its surrogate gradient.

    norse resets to a value and has no reset by subtraction for this neuron; the value `V + I - theta`,
    given anew at every step, is reset by subtraction.
    """

    def step(self, current: Tensor, state: Tensor | None, threshold: float) -> FireResult:
        """Advance a population by one step; see `AbstractBackend.step`."""
        current = current.double()
        membrane = torch.zeros_like(current) if state is None else state
        potential = membrane + current
        parameters = IAFParameters(v_th=torch.as_tensor(threshold), v_reset=potential - threshold)
        spikes, after = iaf_feed_forward_step(current, IAFFeedForwardState(v=membrane), parameters)
        return FireResult(spikes.float(), potential, after.v)
