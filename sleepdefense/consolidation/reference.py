"""The readable engine: a spiking simulator, step by step, and the kernels on its spikes."""

from collections.abc import Set
from dataclasses import dataclass, field
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import override

from sleepdefense.consolidation.engine import AbstractEngine, BatchEvents
from sleepdefense.consolidation.plan import SleepPlan
from sleepdefense.consolidation.plasticity import PlasticStage
from sleepdefense.kernels import count_coincidences_, count_pairings_, select_winners
from sleepdefense.spiking.backend import AbstractBackend
from sleepdefense.spiking.network import SpikingNetwork
from sleepdefense.spiking.simulate import Moment, simulate

_POTENTIAL_UNIT = 2.0**-30
"""Potentials, exact multiples of 2**-13 and of coarser grids, are ranked as integers of this unit."""


@final
class ReferenceEngine(AbstractEngine):
    """Runs any network, on any device, with any simulator of the neurons.

    Args:
        plan: What is settled.
        backend: Simulator of the neurons.
        note: Why this engine.
    """

    def __init__(self, plan: SleepPlan, backend: AbstractBackend, note: str) -> None:
        self.plan = plan
        self.backend = backend
        self.note = note

    @override
    @torch.no_grad()
    def present(
        self, network: SpikingNetwork, images: Tensor, index: NDArray[np.int64], learns: Set[str]
    ) -> BatchEvents:
        config = self.plan.config
        tallies = [_Tally.of(stage, self.plan, len(images)) for stage in self.plan.stages]
        learners = [tally for tally in tallies if tally.stage.name in learns]

        def observe(moment: Moment) -> None:
            for tally in tallies:
                tally.count_spikes(moment)
            for tally in learners:
                tally.learn(moment)

        simulate(
            network,
            images,
            num_steps=config.num_steps,
            backend=self.backend,
            encoder="bernoulli",
            seed=config.seed,
            index=torch.from_numpy(index),
            observe=observe,
            until={stage.unit for stage in self.plan.stages},
        )
        for tally in learners:
            tally.finish()
        shapes = {stage.name: network.weights[stage.name].shape for stage in self.plan.stages}
        return BatchEvents(
            potentiation={t.stage.name: t.potentiation.reshape(shapes[t.stage.name]) for t in learners},
            depression={t.stage.name: t.depression.reshape(shapes[t.stage.name]) for t in learners},
            winners={t.stage.name: t.winners for t in learners},
            spikes={t.stage.name: t.spikes for t in tallies},
        )


@dataclass(slots=True)
class _Tally:
    """What is counted at one stage during one batch."""

    stage: PlasticStage
    plan: SleepPlan
    visible_step: NDArray[np.int32]
    """Step of each visible unit's first spike, (image, channel, height, width); num_steps: none yet."""
    hidden_step: NDArray[np.int32]
    potential: NDArray[np.int64]
    """Of each hidden neuron at its first spike."""
    potentiation: NDArray[np.int32]
    depression: NDArray[np.int32]
    winners: NDArray[np.int64]
    rows: list[tuple[int, NDArray[np.int32]]] = field(default_factory=list)
    """Image -> winners, for the competition at every step."""
    spikes: int = 0

    @classmethod
    def of(cls, stage: PlasticStage, plan: SleepPlan, num_images: int) -> "_Tally":
        never = plan.config.num_steps
        return cls(
            stage=stage,
            plan=plan,
            visible_step=np.full((num_images, *stage.visible), never, dtype=np.int32),
            hidden_step=np.full((num_images, *stage.hidden), never, dtype=np.int32),
            potential=np.zeros((num_images, *stage.hidden), dtype=np.int64),
            potentiation=np.zeros(stage.kernel, dtype=np.int32),
            depression=np.zeros(stage.kernel, dtype=np.int32),
            winners=np.zeros(stage.hidden[0], dtype=np.int64),
        )

    def count_spikes(self, moment: Moment) -> None:
        """Count those of one step."""
        self.spikes += int(np.count_nonzero(_array(moment.signals[self.stage.unit])))

    def learn(self, moment: Moment) -> None:
        """Note first spikes, and count what is counted at once."""
        visible = _array(moment.signals[self.stage.source]).reshape(self.visible_step.shape) != 0
        hidden = _array(moment.signals[self.stage.unit]).reshape(self.hidden_step.shape) != 0
        potential = _array(moment.potentials[self.stage.unit]).reshape(self.hidden_step.shape)
        units = np.rint(potential / _POTENTIAL_UNIT).astype(np.int64)
        never = self.plan.config.num_steps
        first = hidden & (self.hidden_step == never)
        self.potential[first] = units[first]
        self.hidden_step[first] = moment.step
        self.visible_step[visible & (self.visible_step == never)] = moment.step
        if self.plan.config.competition == "step":
            self._compete_now(hidden, units, moment.step)
        elif self.plan.config.competition == "none":
            self._count_now(visible, hidden)

    def finish(self) -> None:
        """Look back on the batch."""
        k, radius = self.plan.contests[self.stage.name]
        config = self.plan.config
        if config.competition == "image":
            for image, (step, potential) in enumerate(zip(self.hidden_step, self.potential, strict=True)):
                won = select_winners(step, potential, num_steps=config.num_steps, k=k, radius=radius)
                self.rows.append((image, won))
        for image, won in self.rows:
            np.add.at(self.winners, won[:, 0], 1)
            count_pairings_(
                self.potentiation,
                self.depression,
                self.visible_step[image],
                won,
                stride=self.stage.stride,
                padding=self.stage.padding,
                depress_outside=config.outside == "depress",
                as_printed=config.order == "as-printed",
            )

    def _compete_now(self, hidden: NDArray[np.bool_], potential: NDArray[np.int64], step: int) -> None:
        """Choose among the neurons that fire in this step; their pairings are counted at the end."""
        k, radius = self.plan.contests[self.stage.name]
        for image, fires in enumerate(hidden):
            now = np.where(fires, 0, 1).astype(np.int32)
            won = select_winners(now, potential[image], num_steps=1, k=k, radius=radius)
            won[:, 3] = step
            self.rows.append((image, won))

    def _count_now(self, visible: NDArray[np.bool_], hidden: NDArray[np.bool_]) -> None:
        """Let every neuron that fires learn from the spikes of this step."""
        self.winners += np.count_nonzero(hidden, axis=(0, 2, 3))
        for pre, post in zip(visible.astype(np.uint8), hidden.astype(np.uint8), strict=True):
            count_coincidences_(
                self.potentiation,
                self.depression,
                pre,
                post,
                stride=self.stage.stride,
                padding=self.stage.padding,
                depress_outside=self.plan.config.outside == "depress",
            )


def _array(signal: Tensor) -> NDArray[np.float64]:
    return signal.detach().double().cpu().numpy()
