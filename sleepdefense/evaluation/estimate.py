"""How long an evaluation will take, before it begins."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from sleepdefense.attacks.any_of import AnyOf
from sleepdefense.attacks.catalogue import AttackSpec
from sleepdefense.attacks.gradient import evaluation_mode, loss_gradient
from sleepdefense.attacks.parse import parse_attacks
from sleepdefense.data.image_set import ImageSet
from sleepdefense.evaluation.cells import FAILURES
from sleepdefense.evaluation.plan import plan_work
from sleepdefense.evaluation.systems import Model, device_of, make_system

NUM_TIMED = 32
REPEATS = 3


@dataclass(frozen=True, slots=True)
class PassCost:
    """Seconds of one image's pass.

    Attributes:
        forward: Forward pass without a gradient.
        backward: What a backward pass adds, with the forward pass it needs; that of a forward pass where
            the model gives no gradient.
    """

    forward: float
    backward: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a piece of an evaluation costs.

    Attributes:
        attack: Label of the attack.
        rows: Whose rows it fills, "system, threat model".
        seconds: Of one core, for all images.
    """

    attack: str
    rows: tuple[str, ...]
    seconds: float


def estimate_costs(
    systems: Mapping[str, Model], data: ImageSet, attacks: str | Sequence[str | AttackSpec]
) -> tuple[Estimate, ...]:
    """Time a few passes through each attacked model, and count how many the attacks need.

    The counts are those of the catalogue, for its usual settings; attacks with fewer steps take less, a
    cascade, in which later attacks find fewer images standing, much less.

    Args:
        systems: What will be evaluated, by name.
        data: The images.
        attacks: What will be attacked with.

    Returns:
        One estimate for each set of attacked images, in the order of the work.
    """
    known = [make_system(name, model) for name, model in systems.items()]
    timed: dict[int, PassCost] = {}
    found = []
    for piece in plan_work(known, parse_attacks(attacks)):
        if piece.attack is None:
            continue
        if id(piece.surface) not in timed:
            timed[id(piece.surface)] = pass_cost(piece.surface, data)
        cost = timed[id(piece.surface)]
        each = piece.attack.forward * cost.forward + piece.attack.backward * cost.backward
        found.append(
            Estimate(
                attack=piece.attack.label,
                rows=tuple(f"{cell.system.name}, {cell.threat_model}" for cell in piece.cells),
                seconds=each * len(data),
            )
        )
    return tuple(found)


def pass_cost(model: Model, data: ImageSet) -> PassCost:
    """Time passes of a few images; of a surface that stands for several, those of all its members."""
    if isinstance(model, AnyOf):
        parts = [pass_cost(member, data) for member in model.members]
        return PassCost(sum(part.forward for part in parts), sum(part.backward for part in parts))
    device = device_of(model)
    images, labels = data.images[:NUM_TIMED].to(device), data.labels[:NUM_TIMED].to(device)
    with evaluation_mode(model):
        with torch.no_grad():
            forward = _fastest(lambda: model(images)) / len(images)
        try:
            both = _fastest(lambda: loss_gradient(model, images, labels)) / len(images)
        except FAILURES:
            both = 2 * forward
    return PassCost(forward=forward, backward=max(both - forward, forward))


def _fastest(work: Callable[[], object]) -> float:
    """Return the seconds of the fastest of a few calls."""
    seconds = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


def duration(seconds: float) -> str:
    """Return a time as a person says it.

    >>> duration(8.2), duration(200), duration(9000)
    ('8 s', '3 min', '2.5 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
