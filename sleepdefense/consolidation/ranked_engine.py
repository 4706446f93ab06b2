"""A batch split over several processes, and counted as one."""

from collections.abc import Set
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import override

from sleepdefense.consolidation.engine import AbstractEngine, BatchEvents
from sleepdefense.consolidation.plan import SleepPlan
from sleepdefense.consolidation.ranks import Ranks
from sleepdefense.errors import SleepError
from sleepdefense.spiking.network import SpikingNetwork


@final
class RankedEngine(AbstractEngine):
    """Presents each process's share of a batch to its own engine, and adds up what all counted.

    The sums are of integers, so every process has the same events as a single one that presents the whole
    batch. Its note is that of the engine: how many processes there were is no part of a result.

    Args:
        engine: Of this process.
        plan: What is settled, the same in all processes.
        ranks: All processes. Each must present the same batches.
    """

    def __init__(self, engine: AbstractEngine, plan: SleepPlan, ranks: Ranks) -> None:
        self.engine = engine
        self.plan = plan
        self.ranks = ranks
        self.note = engine.note

    @override
    def present(
        self, network: SpikingNetwork, images: Tensor, index: NDArray[np.int64], learns: Set[str]
    ) -> BatchEvents:
        share = self.ranks.share(len(index))
        learners = [stage for stage in self.plan.stages if stage.name in learns]
        shapes = {stage.name: tuple(network.weights[stage.name].shape) for stage in learners}
        if share.stop > share.start:
            own = self.engine.present(network, images[share], index[share], learns)
        else:
            own = BatchEvents(
                potentiation={name: np.zeros(shape, np.int32) for name, shape in shapes.items()},
                depression={name: np.zeros(shape, np.int32) for name, shape in shapes.items()},
                winners={stage.name: np.zeros(stage.hidden[0], np.int64) for stage in learners},
                spikes={stage.name: 0 for stage in self.plan.stages},
            )
        parts: list[NDArray[np.integer[Any]]] = [
            *(own.potentiation[stage.name].ravel() for stage in learners),
            *(own.depression[stage.name].ravel() for stage in learners),
            *(own.winners[stage.name] for stage in learners),
            np.array([own.spikes[stage.name] for stage in self.plan.stages]),
        ]
        total = self.ranks.sum(np.concatenate(parts, dtype=np.int64))
        ends = np.cumsum([part.size for part in parts])[:-1]
        *counts, spikes = np.split(total, ends)
        num = len(learners)
        return BatchEvents(
            potentiation={name: _narrow(counts[i], shape) for i, (name, shape) in enumerate(shapes.items())},
            depression={
                name: _narrow(counts[num + i], shape) for i, (name, shape) in enumerate(shapes.items())
            },
            winners={name: counts[2 * num + i] for i, name in enumerate(shapes)},
            spikes={stage.name: int(count) for stage, count in zip(self.plan.stages, spikes, strict=True)},
        )


def _narrow(count: NDArray[np.int64], shape: tuple[int, ...]) -> NDArray[np.int32]:
    """Return a count in 32 bits, as a single process has it."""
    most = int(count.max(initial=0))
    if most > np.iinfo(np.int32).max:
        raise SleepError(f"a synapse was counted {most} times in a batch, beyond 32 bits: lower 'batch_size'")
    return count.astype(np.int32).reshape(shape)
