"""The fast engine: a plain chain of layers, compiled from pixels to counts."""

import os
from collections.abc import Set
from typing import cast, final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import override

from sleepdefense.consolidation.chain_links import chain_layer, find_chain
from sleepdefense.consolidation.engine import AbstractKeepingEngine, BatchEvents
from sleepdefense.consolidation.plan import SleepPlan
from sleepdefense.errors import ConfigError
from sleepdefense.kernels import Competition, Sleeper, WeightType
from sleepdefense.spiking.network import SpikingNetwork


@final
class FusedEngine(AbstractKeepingEngine):
    """Runs `kernels.Sleeper`, on the processor.

    Args:
        plan: What is settled.
        threads: Workers, >= 1; None: one for each core. Without influence on the result.

    Raises:
        SleepError: The network is no plain chain up to the last stage that sleeps; the message says where.
        ConfigError: `threads` < 1.
    """

    def __init__(self, plan: SleepPlan, threads: int | None) -> None:
        if threads is not None and threads < 1:
            raise ConfigError(f"'threads' must be >= 1, got {threads}")
        self.plan = plan
        self.threads = threads or os.cpu_count() or 1
        self.image_shape, self.links = find_chain(plan)
        self.note = "engine: fused"
        self._sleeper: Sleeper

    @override
    def present(
        self, network: SpikingNetwork, images: Tensor, index: NDArray[np.int64], learns: Set[str]
    ) -> BatchEvents:
        layers = [chain_layer(network, link) for link in self.links]
        self._sleeper = Sleeper(
            layers,
            self.image_shape,
            weight_type=cast(WeightType, self.plan.config.weight_type),
            threads=self.threads,
        )
        return self.present_again(images, index, learns)

    @override
    def update_(self, stage: str, unit: NDArray[np.int32], features: NDArray[np.int64]) -> None:
        number = [link.stage.name for link in self.links].index(stage)
        self._sleeper.set_weight(number, unit.reshape(self.links[number].kernel), features.tolist())

    @override
    def present_again(self, images: Tensor, index: NDArray[np.int64], learns: Set[str]) -> BatchEvents:
        config = self.plan.config
        names = [link.stage.name for link in self.links]
        record = self._sleeper.present(
            np.ascontiguousarray(
                images.detach().cpu().float().numpy().reshape(len(images), *self.image_shape)
            ),
            index,
            seed=config.seed,
            num_steps=config.num_steps,
            competition=cast(Competition, config.competition),
            k=[self.plan.contests[name].k for name in names],
            radius=[self.plan.contests[name].radius for name in names],
            learns=[name in learns for name in names],
            depress_outside=config.outside == "depress",
            as_printed=config.order == "as-printed",
        )
        layers = {name: number for number, name in enumerate(names) if name in learns}
        weights = self.plan.network.weights
        shapes = {name: weights[name].shape for name in layers}
        return BatchEvents(
            potentiation={name: record.potentiation[i].reshape(shapes[name]) for name, i in layers.items()},
            depression={name: record.depression[i].reshape(shapes[name]) for name, i in layers.items()},
            winners={name: record.winner_count[i] for name, i in layers.items()},
            spikes={
                stage.name: int(record.spike_count[names.index(stage.name)]) for stage in self.plan.stages
            },
        )
