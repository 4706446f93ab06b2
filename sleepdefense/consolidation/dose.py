"""How strongly a layer learns, and when it has had enough.

The dose of a layer is the length of its way, rho = |W - W0| / |W0|: the same for all layers, whatever images,
steps and winners it takes, so that sleeps can be compared with each other and with controls.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sleepdefense.consolidation.config import SleepConfig
from sleepdefense.consolidation.dreaming import Masters
from sleepdefense.consolidation.engine import BatchEvents
from sleepdefense.consolidation.mirror import mirrored
from sleepdefense.consolidation.plan import SleepPlan
from sleepdefense.consolidation.plasticity import PlasticStage
from sleepdefense.consolidation.rules import AbstractRule
from sleepdefense.consolidation.weight_dependence import FloatArray
from sleepdefense.errors import SleepError


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """Where a sleep stands.

    Attributes:
        masters: Weight of each layer that moves: stages and their twins.
        finished: Layers that have had their dose and stay.
        brakes: Stage -> the fraction of its strength that its last batch could use, in (0, 1].
    """

    masters: Masters
    finished: frozenset[str]
    brakes: Mapping[str, float]


def norm(weight: FloatArray) -> float:
    """Return the root of the sum of squares, summed in an order that no thread count changes."""
    return math.sqrt(float(np.sum(np.square(weight))))


def relative_change(weight: NDArray[np.float32], origin: NDArray[np.float32]) -> float:
    """Return |W - W0| / |W0|, dimensionless; 0 for a layer without weights other than 0."""
    start = origin.astype(np.float64)
    length = norm(start)
    return norm(weight - start) / length if length > 0 else 0.0


def find_strength(
    stage: PlasticStage, directions: Sequence[FloatArray], origin: FloatArray, config: SleepConfig
) -> float:
    """Return the factor on a rule that lets a layer reach its dose in about `target_batches`.

    The change of one batch has a part that all batches share, of length mu, and one of its own, of length
    sigma. After n batches of strength s the layer has moved by about

        s * sqrt(n^2 mu^2 + n sigma^2),

    which is set to rho |W0| at n = `target_batches`, and s is lowered where a single batch would move the
    layer by more than `max_batch_change` |W0|.

    Args:
        stage: For the error message.
        directions: Change of the weights by each of the first batches at strength 1.
        origin: W0.
        config: The dose.

    Returns:
        Strength, dimensionless, > 0.

    Raises:
        SleepError: No weight moves.
    """
    lengths = [norm(direction) for direction in directions]
    if not any(lengths):
        raise SleepError(
            f"stage {stage.name!r} spikes, but no weight of it can move: each is 0, or the largest of its "
            "layer. Train the network first, or take another 'weight_dependence'."
        )
    if config.strength is not None:
        return config.strength
    start = norm(origin)
    most = math.inf if config.max_batch_change is None else config.max_batch_change * start / max(lengths)
    if config.rho is None:
        return most
    count, batches = len(lengths), config.target_batches
    square = math.fsum(length**2 for length in lengths) / count
    shared = square
    if count > 1:
        total = norm(np.sum(directions, axis=0)) ** 2
        shared = min(square, max(0.0, (total - count * square) / (count * (count - 1))))
    way = math.sqrt(batches**2 * shared + batches * (square - shared))
    return min(most, config.rho * start / way)


def advance(
    plan: SleepPlan,
    rule: AbstractRule,
    origin: Masters,
    course: Course,
    strengths: Mapping[str, float],
    events: BatchEvents,
    num_images: int,
) -> Course:
    """Let every unfinished layer learn from a batch, and finish what passes the dose.

    Such a layer is taken back to the dose exactly, along the straight line to where it began, and its
    twin by the same factor. A twin that reaches the dose first is finished alone: no layer moves by more.

    Args:
        plan: What is settled.
        rule: Counts to changes.
        origin: Weights before the sleep, of all layers that move.
        course: Where the sleep stands.
        strengths: Stage -> strength.
        events: Of the batch.
        num_images: In the batch.
    """
    masters = dict(course.masters)
    finished = set(course.finished)
    brakes = {}
    for stage in plan.stages:
        brakes[stage.name] = 1.0
        if stage.name in finished:
            continue
        layers = [stage.name]
        twin = plan.twins.get(stage.name)
        if twin is not None and twin not in finished:
            layers.append(twin)
        before = {name: masters[name].astype(np.float64) for name in layers}
        start = {name: origin[name].astype(np.float64) for name in layers}
        changes = {
            name: _change(rule, stage, events, before[name], start[name], is_twin=name != stage.name)
            for name in layers
        }
        strength = strengths[stage.name] / num_images
        brakes[stage.name] = _brake(changes, start, strength, plan.config.max_batch_change)
        for name in layers:
            moved = rule.confine(before[name] + brakes[stage.name] * strength * changes[name], start[name])
            masters[name] = moved.astype(np.float32)
        finished |= _cut_to_dose_(masters, origin, layers, plan.config.rho)
    return Course(masters=masters, finished=frozenset(finished), brakes=brakes)


def _change(
    rule: AbstractRule,
    stage: PlasticStage,
    events: BatchEvents,
    weight: FloatArray,
    origin: FloatArray,
    *,
    is_twin: bool,
) -> FloatArray:
    """Return the change of a layer at strength 1."""
    potentiation, depression = events.potentiation[stage.name], events.depression[stage.name]
    if not is_twin:
        return rule.direction(weight, origin, potentiation, depression)
    counts = mirrored(potentiation), mirrored(depression)
    return rule.twin_gain() * rule.direction(weight, origin, *counts)


def _brake(
    changes: Mapping[str, FloatArray],
    origin: Mapping[str, FloatArray],
    strength: float,
    most: float | None,
) -> float:
    """Return the factor <= 1 at which no layer of the pair moves by more than it may in a batch."""
    if most is None:
        return 1.0
    brake = 1.0
    for name, change in changes.items():
        way, allowed = strength * norm(change), most * norm(origin[name])
        if way > allowed:
            brake = min(brake, allowed / way)
    return brake


def _cut_to_dose_(
    masters: dict[str, NDArray[np.float32]], origin: Masters, layers: Sequence[str], rho: float | None
) -> set[str]:
    """Take back, in `masters`, what passed the dose, the stage first; return the layers that are finished."""
    if rho is None:
        return set()
    for place, name in enumerate(layers):
        change = relative_change(masters[name], origin[name])
        if change >= rho:
            for each in layers[place:]:
                start = origin[each].astype(np.float64)
                masters[each] = (start + rho / change * (masters[each] - start)).astype(np.float32)
            return set(layers[place:])
    return set()
