"""From batch to batch: what the counts do to all layers, stages and twins, until each has had its dose."""

from collections.abc import Mapping, Sequence, Set
from typing import final

import numpy as np

from sleepdefense.consolidation.course import Course
from sleepdefense.consolidation.dreaming import Masters
from sleepdefense.consolidation.engine import BatchEvents
from sleepdefense.consolidation.mirror import as_rows
from sleepdefense.consolidation.mover import Features
from sleepdefense.consolidation.moving import MovingLayer
from sleepdefense.consolidation.plan import SleepPlan
from sleepdefense.consolidation.rules import AbstractRule


@final
class Consolidator:
    """Makes one course from another. What it keeps between batches saves time and decides nothing.

    Args:
        plan: What is settled.
        rule: Counts to changes.
        origin: Weights before the sleep, of all layers that move.
    """

    def __init__(self, plan: SleepPlan, rule: AbstractRule, origin: Masters) -> None:
        twins = set(plan.twins.values())
        self.plan = plan
        self._layers = {
            name: MovingLayer(weight, rule, is_twin=name in twins) for name, weight in origin.items()
        }
        self._course: Course | None = None

    def begin(self, masters: Masters, finished: Set[str]) -> Course:
        """Return the course with these weights, which are copied, and these layers finished."""
        self._course = None
        for name, layer in self._layers.items():
            layer.begin(masters[name])
        self._course = self._as_it_is(finished=frozenset(finished), brakes={}, moved={})
        return self._course

    def advance(
        self, course: Course, strengths: Mapping[str, float], events: BatchEvents, num_images: int
    ) -> Course:
        """Let every unfinished layer learn from a batch, and finish what passes the dose.

        Such a layer is taken back to the dose exactly, along the straight line to where it began, and its
        twin by the same factor. A twin that reaches the dose first is finished alone: no layer moves by more.

        Args:
            course: Where the sleep stands.
            strengths: Stage -> strength.
            events: Of the batch.
            num_images: In the batch.
        """
        if course is not self._course:
            self.begin(course.masters, course.finished)
        self._course = None  # until the end: what an interruption leaves half done is done again
        finished = set(course.finished)
        brakes, moved = {}, {}
        for stage in self.plan.stages:
            name = stage.name
            brakes[name], moved[name] = 1.0, np.zeros(0, dtype=np.int64)
            if name in finished:
                continue
            twin = self.plan.twins.get(name)
            pair = [name] if twin is None or twin in finished else [name, twin]
            counts = [
                as_rows(each, is_twin=False) for each in (events.potentiation[name], events.depression[name])
            ]
            features = np.flatnonzero(events.winners[name])
            found = [self._layers[each].find(counts[0], counts[1], features) for each in pair]
            strength = strengths[name] / num_images
            brakes[name] = self._brake(pair, [strength * length for length, _ in found])
            for each, (_, changed) in zip(pair, found, strict=True):
                self._layers[each].move_(changed, brakes[name] * strength)
            moved[name] = found[0][1]
            if stopped := self._stop(pair):
                finished |= stopped
                moved[name] = np.arange(stage.kernel[0], dtype=np.int64)
        self._course = self._as_it_is(finished=frozenset(finished), brakes=brakes, moved=moved)
        return self._course

    def _brake(self, names: Sequence[str], ways: Sequence[float]) -> float:
        """Return the factor <= 1 at which no layer of the pair moves by more than it may in a batch."""
        most, brake = self.plan.config.max_batch_change, 1.0
        if most is None:
            return brake
        for name, way in zip(names, ways, strict=True):
            allowed = most * self._layers[name].length
            if way > allowed:
                brake = min(brake, allowed / way)
        return brake

    def _stop(self, names: Sequence[str]) -> set[str]:
        """Take back what passed the dose, the stage first; return the layers that are finished."""
        rho = self.plan.config.rho
        if rho is None:
            return set()
        for place, name in enumerate(names):
            change = self._layers[name].change
            if change >= rho:
                for each in names[place:]:
                    self._layers[each].shorten_(rho / change)
                return set(names[place:])
        return set()

    def _as_it_is(
        self, *, finished: frozenset[str], brakes: Mapping[str, float], moved: Mapping[str, Features]
    ) -> Course:
        return Course(
            masters={name: layer.master for name, layer in self._layers.items()},
            finished=finished,
            brakes=brakes,
            changes={name: layer.change for name, layer in self._layers.items()},
            counters={stage.name: self._layers[stage.name].counter for stage in self.plan.stages},
            moved=moved,
        )
