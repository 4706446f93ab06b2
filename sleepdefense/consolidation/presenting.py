"""How a batch meets the weights of the moment: an engine that keeps its network is told only what changed."""

from collections.abc import Mapping, Set
from typing import final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sleepdefense.consolidation.course import Course
from sleepdefense.consolidation.dreaming import dreaming
from sleepdefense.consolidation.engine import AbstractEngine, AbstractKeepingEngine, BatchEvents
from sleepdefense.consolidation.mirror import as_rows
from sleepdefense.consolidation.plan import SleepPlan
from sleepdefense.consolidation.plasticity import PlasticStage
from sleepdefense.kernels import round_features_
from sleepdefense.spiking.synapses import finest_grid

_SLACK = 1e-9  # far above what the order of a sum can change


@final
class Presenter:
    """Presents batch after batch; what it keeps between them saves time and decides nothing.

    Args:
        plan: What is settled.
        engine: Presents and counts.
        thresholds: From `find_thresholds`.
    """

    def __init__(self, plan: SleepPlan, engine: AbstractEngine, thresholds: Mapping[str, float]) -> None:
        self.plan = plan
        self.engine = engine
        self._keeping = engine if isinstance(engine, AbstractKeepingEngine) else None
        self.thresholds = thresholds
        self._rounded = [RoundedStage(plan, stage) for stage in plan.stages]
        self._batch: int | None = None

    def present(
        self, batch: int, course: Course, images: Tensor, index: NDArray[np.int64], learns: Set[str]
    ) -> BatchEvents:
        """Present a batch to the network with the weights of the moment.

        Args:
            batch: Number of batches before it in this sleep, which decide on the weights.
            course: Where the sleep stands.
            images: (batch, *unit), in [0, 1].
            index: The number of each image, (batch,).
            learns: Stages whose events are counted.
        """
        keeping, follows = self._keeping, self._batch is not None and batch == self._batch + 1
        self._batch = None  # until the end: after an interruption all is rounded anew
        if keeping is not None and follows and all(stage.follow_(course) for stage in self._rounded):
            for stage in self._rounded:
                if len(features := course.moved[stage.name]):
                    keeping.update_(stage.name, stage.unit, features)
            events = keeping.present_again(images, index, learns)
        else:
            network = dreaming(self.plan, course.masters, self.thresholds)
            if keeping is not None:
                for stage in self._rounded:
                    synapses = network.node(stage.name).synapses
                    assert synapses is not None
                    stage.begin_(course, synapses.grid_bits)
            events = self.engine.present(network, images, index, learns)
        self._batch = batch
        return events


@final
class RoundedStage:
    """The weights of a stage in units of its grid, as `dreaming` would round them.

    Args:
        plan: What is settled.
        stage: The stage.

    Attributes:
        name: Of the stage.
        unit: Weights in units of the grid, (feature, synapse).
    """

    def __init__(self, plan: SleepPlan, stage: PlasticStage) -> None:
        synapses = plan.network.node(stage.name).synapses
        assert synapses is not None
        self.name = stage.name
        self._most_bits = synapses.grid_bits
        self._bias = 0.0 if synapses.bias is None else float(synapses.bias.abs().max())
        self._bounds: tuple[float, float] | None = None
        if plan.config.threshold_mode == "absolute":
            self._bounds = float(synapses.weight.min()), float(synapses.weight.max())
        size = stage.kernel[0], int(np.prod(stage.kernel[1:]))
        self.unit = np.zeros(size, dtype=np.int32)
        self._reach = np.zeros((size[0], 3))
        self._bits = 0

    def begin_(self, course: Course, grid_bits: int) -> None:
        """Round all features to this grid."""
        self._bits = grid_bits
        self._round(course, np.arange(len(self.unit), dtype=np.int64))

    def follow_(self, course: Course) -> bool:
        """Round the features that moved; return whether the grid is beyond doubt still the right one."""
        if len(features := course.moved[self.name]) == 0:
            return True
        self._round(course, features)
        largest, reach, mapped = (float(value) for value in self._reach.max(axis=0))
        for factor in (1 - _SLACK, 1 + _SLACK):
            bits = min(self._most_bits, finest_grid(largest, (reach + self._bias) * factor))
            if self._bounds is not None:
                bits = min(bits, finest_grid(1.0, mapped * factor))
            if bits != self._bits:
                return False
        return True

    def _round(self, course: Course, features: NDArray[np.int64]) -> None:
        rows = as_rows(course.masters[self.name], is_twin=False)
        round_features_(self.unit, self._reach, rows, features, grid_bits=self._bits, bounds=self._bounds)
