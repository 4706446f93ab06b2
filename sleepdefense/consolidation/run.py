"""One sleep from its first batch to its last: find strengths, present, learn, save, go on."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sleepdefense.consolidation.consolidator import Consolidator
from sleepdefense.consolidation.diary import Measurement, SleepDiary
from sleepdefense.consolidation.dose import find_strength
from sleepdefense.consolidation.dreaming import Masters, dreaming, find_thresholds, with_masters
from sleepdefense.consolidation.engine import AbstractEngine, BatchEvents
from sleepdefense.consolidation.guard import Verdict
from sleepdefense.consolidation.plan import SleepPlan
from sleepdefense.consolidation.presenting import Presenter
from sleepdefense.consolidation.ranks import Ranks
from sleepdefense.consolidation.row import batch_row
from sleepdefense.consolidation.rules import AbstractRule
from sleepdefense.consolidation.state import SleepState, load_state, save_state
from sleepdefense.errors import SleepError
from sleepdefense.spiking.network import SpikingNetwork

Measure = Callable[[SpikingNetwork], float]
Progress = Callable[[int, int, str], None]
"""Called after every batch with thousandths of the way done, 1000, and where the sleep stands."""

FIRST_BATCHES = 4
"""Batches that are presented before anything changes: they give the strengths, and show silent stages."""


class SleepRun:
    """A sleep on its way. Its state is replaced as a whole, so that an interruption finds it complete.

    Args:
        plan: What is settled.
        rule: Counts to changes.
        engine: Presents images and counts.
        images: What is replayed, (image, *unit).
        measures: Numbers to be followed.
        checkpoint: File of the state, or None.
        identity: What decides the result, for the file.
        ranks: The processes that share the sleep. All count; the main one decides what follows, measures and
            writes.
    """

    def __init__(
        self,
        plan: SleepPlan,
        rule: AbstractRule,
        engine: AbstractEngine,
        images: Tensor,
        *,
        measures: Mapping[str, Measure],
        checkpoint: Path | None,
        identity: Mapping[str, Any],
        ranks: Ranks,
    ) -> None:
        self.plan = plan
        self.rule = rule
        self.engine = engine
        self.images = images
        self.measures = measures
        self.checkpoint = checkpoint
        self.identity = identity
        self.ranks = ranks
        weights = plan.network.weights
        layers = [*(stage.name for stage in plan.stages), *plan.twins.values()]
        self.origin: Masters = {name: weights[name].detach().cpu().numpy().copy() for name in layers}
        self.consolidator = Consolidator(plan, rule, self.origin)
        self.presenter: Presenter
        self.state: SleepState

    def begin(self) -> None:
        """Find thresholds and strengths on the first batches; nothing changes yet."""
        thresholds = self.ranks.on_main(lambda: find_thresholds(self.plan, self._images(self._index(0))))
        self.presenter = Presenter(self.plan, self.engine, thresholds)
        network = dreaming(self.plan, {}, thresholds)
        indices = [index for batch in range(FIRST_BATCHES) if len(index := self._index(batch))]
        learns = {stage.name for stage in self.plan.stages}
        events = [self.engine.present(network, self._images(index), index, learns) for index in indices]
        self.state = self.ranks.on_main(
            lambda: SleepState(
                batch=0,
                course=self.consolidator.begin(self.origin, frozenset()),
                strengths=self._strengths(events, [len(index) for index in indices]),
                thresholds=thresholds,
                rows=(),
                events={stage.name: np.zeros(stage.kernel[0], dtype=np.int64) for stage in self.plan.stages},
                measured=(self._measure(0, self.origin),) if self.measures else (),
            )
        )

    def go_on(self, path: Path) -> None:
        """Take the state from a file.

        Raises:
            CheckpointError: The file is no state of a sleep, or damaged.
            SleepError: It belongs to another sleep.
        """
        self.state = self.ranks.on_main(lambda: self._loaded(path))
        self.presenter = Presenter(self.plan, self.engine, self.state.thresholds)

    def sleep(self, progress: Progress | None) -> None:
        """Sleep until the dose is reached or the images are used up; save the state, whatever happens."""
        try:
            while not self._is_over(self.state):
                self.state = self._after_batch()
                if self.state.batch % self.plan.config.save_every == 0:
                    self.ranks.on_main(self.save)
                if progress is not None and self.ranks.is_main:
                    progress(*self._standing())
        except BaseException:
            if self.ranks.is_main:
                self.save()
            raise

    def diary(self, verdict: Verdict | None) -> SleepDiary:
        """Return what happened so far."""
        state, stages = self.state, self.plan.stages
        return SleepDiary(
            stages=tuple(stage.name for stage in stages),
            twins=self.plan.twins,
            notes=(self.engine.note, *self.plan.notes),
            strengths=state.strengths,
            thresholds=state.thresholds,
            rows=state.rows,
            events=state.events,
            measures=tuple(self.measures),
            measured=state.measured,
            doses=state.course.changes,
            reached=tuple(stage.name for stage in stages if stage.name in state.course.finished),
            verdict=verdict,
        )

    def save(self, diary: SleepDiary | None = None) -> None:
        """Write the state, and at the end the diary, if there is a file for it."""
        if self.checkpoint is not None:
            save_state(self.checkpoint, self.state, self.identity, diary)

    def _loaded(self, path: Path) -> SleepState:
        state = load_state(path, self.identity)
        course = self.consolidator.begin(state.course.masters, state.course.finished)
        return replace(state, course=course)

    def _after_batch(self) -> SleepState:
        state = self.state
        index = self._index(state.batch)
        learns = {stage.name for stage in self.plan.stages} - state.course.finished
        events = self.presenter.present(state.batch, state.course, self._images(index), index, learns)
        return self.ranks.on_main(lambda: self._learned(events, index))

    def _learned(self, events: BatchEvents, index: NDArray[np.int64]) -> SleepState:
        state = self.state
        course = self.consolidator.advance(state.course, state.strengths, events, len(index))
        before = state.rows[-1].images if state.rows else 0
        row = batch_row(self.plan, events, course, before=before, num_images=len(index))
        after = replace(
            state,
            batch=state.batch + 1,
            course=course,
            rows=(*state.rows, row),
            events={name: count + events.winners.get(name, 0) for name, count in state.events.items()},
        )
        is_due = after.batch % self.plan.config.measure_every == 0 or self._is_over(after)
        if self.measures and is_due:
            after = replace(after, measured=(*after.measured, self._measure(row.images, course.masters)))
        return after

    def _index(self, batch: int) -> NDArray[np.int64]:
        """Number the images of a batch: position in the set + pass * images in the set."""
        config, num_images = self.plan.config, len(self.images)
        passes, place = divmod(batch, math.ceil(num_images / config.batch_size))
        first = place * config.batch_size
        last = min(first + config.batch_size, num_images)
        index = np.arange(first, last, dtype=np.int64) + passes * num_images
        return index[index < config.max_images]

    def _images(self, index: NDArray[np.int64]) -> Tensor:
        first = int(index[0]) % len(self.images)
        return self.images[first : first + len(index)]

    def _is_over(self, state: SleepState) -> bool:
        is_done = all(stage.name in state.course.finished for stage in self.plan.stages)
        return is_done or len(self._index(state.batch)) == 0

    def _strengths(self, events: Sequence[BatchEvents], sizes: Sequence[int]) -> dict[str, float]:
        num_images, num_steps = sum(sizes), self.plan.config.num_steps
        strengths = {}
        for stage in self.plan.stages:
            name = stage.name
            if sum(each.spikes[name] for each in events) == 0:
                raise SleepError(
                    f"stage {name!r} is silent: none of its {stage.num_neurons} neurons fired while "
                    f"{num_images} images were presented, for {num_steps} steps each. Convert with a "
                    "calibration on such images, take more steps, or lower the thresholds (threshold_mode "
                    "'calibrated')."
                )
            origin = self.origin[name].astype(np.float64)
            directions = [
                self.rule.direction(origin, origin, each.potentiation[name], each.depression[name]) / size
                for each, size in zip(events, sizes, strict=True)
            ]
            strengths[name] = find_strength(stage, directions, origin, self.plan.config)
        return strengths

    def _measure(self, num_images: int, masters: Masters) -> Measurement:
        network = with_masters(self.plan.network, masters)
        return Measurement(num_images, tuple(float(measure(network)) for measure in self.measures.values()))

    def _standing(self) -> tuple[int, int, str]:
        row, config = self.state.rows[-1], self.plan.config
        part = row.images / config.max_images
        if config.rho is not None:
            part = max(part, float(np.mean(np.minimum(row.change / config.rho, 1.0))))
        done = 1000 if self._is_over(self.state) else min(999, int(1000 * part))
        last = int(np.argmin(row.change))
        return done, 1000, f"{row.images} images, {self.plan.stages[last].name} at {row.change[last]:.3f}"
