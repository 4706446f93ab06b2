"""What presents a batch of images to a sleeping network, and counts."""

import abc
from collections.abc import Mapping, Set
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sleepdefense.spiking.network import SpikingNetwork


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchEvents:
    """What happened during one batch, by stage. All numbers are exact.

    Attributes:
        potentiation: Of stages that learn: counts, shaped like the weight.
        depression: The same.
        winners: Of stages that learn: how often a neuron of each feature did, (feature,).
        spikes: Of all stages that sleep: spikes of all hidden neurons, images and steps.
    """

    potentiation: Mapping[str, NDArray[np.int32]]
    depression: Mapping[str, NDArray[np.int32]]
    winners: Mapping[str, NDArray[np.int64]]
    spikes: Mapping[str, int]


class AbstractEngine(abc.ABC):
    """Presents images and counts; changes nothing. All engines give the same events.

    Attributes:
        note: Which engine this is and why, for the diary.
    """

    note: str

    @abc.abstractmethod
    def present(
        self, network: SpikingNetwork, images: Tensor, index: NDArray[np.int64], learns: Set[str]
    ) -> BatchEvents:
        """Present a batch.

        Args:
            network: From `dreaming`.
            images: (batch, *unit), in [0, 1].
            index: The number of each image, which its spikes depend on, (batch,).
            learns: Stages whose events are counted; the others only spike.
        """


class AbstractKeepingEngine(AbstractEngine):
    """An engine that keeps the network of its last batch, and can be told what changed instead of all."""

    @abc.abstractmethod
    def update_(self, stage: str, unit: NDArray[np.int32], features: NDArray[np.int64]) -> None:
        """Change the weights of a stage in the network that is kept.

        Args:
            stage: Its name.
            unit: Weights in units of the grid they had, (feature, synapse). It stays the caller's, who
                changes it and says so; until then it may be read.
            features: Those that differ from before, ascending, (listed,).
        """

    @abc.abstractmethod
    def present_again(self, images: Tensor, index: NDArray[np.int64], learns: Set[str]) -> BatchEvents:
        """Present a batch to the network that is kept; arguments as in `present`."""
