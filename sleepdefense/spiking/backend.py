"""What a simulator of integrate-and-fire neurons must offer, and the plain one."""

import abc
from typing import NamedTuple

import torch
from torch import Tensor


class FireResult(NamedTuple):
    """What one step of a population gives.

    Attributes:
        spikes: 0 or 1, (batch, *unit).
        potential: The membrane before the reset: what competing neurons are ranked by.
        state: The state to pass to the next step. What it holds is the simulator's business.
    """

    spikes: Tensor
    potential: Tensor
    state: Tensor


class AbstractBackend(abc.ABC):
    """A simulator of neurons that integrate without leak and reset by subtraction.

        V += I;  spike if V > theta (strictly), at most once a step;  V -= theta

    State is a value: `step` takes it and returns the next one.
    """

    @abc.abstractmethod
    def step(self, current: Tensor, state: Tensor | None, threshold: float) -> FireResult:
        """Advance a population by one step.

        Args:
            current: (batch, *unit), in units in which `threshold` is given.
            state: What the previous step returned, None at rest.
            threshold: theta > 0.
        """


class TorchBackend(AbstractBackend):
    """The equation above in plain torch: no gradient through a spike, nothing but the arithmetic."""

    def step(self, current: Tensor, state: Tensor | None, threshold: float) -> FireResult:
        """Advance a population by one step; see `AbstractBackend.step`."""
        potential = current.double() if state is None else state + current
        fires = potential > threshold
        return FireResult(fires.to(torch.float32), potential, potential - threshold * fires)
