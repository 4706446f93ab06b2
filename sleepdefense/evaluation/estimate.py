"""How long an evaluation will take, before it begins or goes on."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from sleepdefense.attacks.any_of import AnyOf
from sleepdefense.attacks.catalogue import AttackSpec
from sleepdefense.attacks.gradient import evaluation_mode, loss_gradient
from sleepdefense.data.image_set import ImageSet
from sleepdefense.evaluation.cells import FAILURES
from sleepdefense.evaluation.checks.config import CheckConfig
from sleepdefense.evaluation.files import parts_folder
from sleepdefense.evaluation.preparing import finished_table, prepare
from sleepdefense.evaluation.record import Record
from sleepdefense.evaluation.schedule import kept_records
from sleepdefense.evaluation.systems import Model, check_resumable, device_of

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
        seconds: Of one core, for the images that are left.
        is_measured: Whether it follows from batches that are finished already.
    """

    attack: str
    rows: tuple[str, ...]
    seconds: float
    is_measured: bool = False


def estimate_costs(
    systems: Mapping[str, Model],
    data: ImageSet,
    attacks: str | Sequence[str | AttackSpec],
    *,
    resume: Path | None = None,
    seed: int = 0,
    batch_size: int = 500,
    cascade: bool = False,
    checks: bool | CheckConfig = True,
    pool: ImageSet | None = None,
) -> tuple[Estimate, ...]:
    """Tell what is left to do, from what is finished of an attack, else from a few passes of its model.

    An attack some of whose batches are finished in `resume` goes on as these did. For any other a few passes
    are timed, and those that it needs are counted. The counts are those of the catalogue, for its usual
    settings; attacks with fewer steps take less, those that stop early too, and in a cascade, where later
    attacks find fewer images standing, much less.

    Args:
        systems: What will be evaluated, by name; this and all else as for `evaluate_systems`.
        data: The images.
        attacks: What will be attacked with.
        resume: The file that keeps the work; None: nothing is finished.
        seed: Of the random parts.
        batch_size: Images attacked at once.
        cascade: Whether attacks are spared what is down already.
        checks: The settings of the checks.
        pool: Images that some attacks start from.

    Returns:
        One estimate for each set of attacked images, in the order of the work.

    Raises:
        EvaluationError: A system cannot be evaluated, or `resume` holds other work.
        ConfigError: An attack is unknown, no system is given, or a number is out of range.
        CheckpointError: `resume` is damaged.
    """
    ready = prepare(
        systems,
        data,
        attacks,
        seed=seed,
        batch_size=batch_size,
        cascade=cascade,
        checks=checks,
        pool=pool,
    )
    if resume is not None:
        check_resumable(ready.systems)
    is_finished = resume is not None and resume.exists()
    records: Sequence[Record | None] = [None] * len(ready.work)
    if resume is not None and is_finished:
        finished_table(resume, ready)  # which refuses that of other work
    elif resume is not None:
        folder = parts_folder(resume)
        records = kept_records(ready.work, data, folder, ready.identity, batch_size=batch_size)
    timed: dict[int, PassCost] = {}
    found = []
    for piece, record in zip(ready.work, records, strict=True):
        if piece.attack is None:
            continue
        done = 0 if record is None else int(record.done_images.sum())
        left = 0 if is_finished else len(data) - done
        each = 0.0
        if record is not None and done:
            each = float(record.seconds.sum()) / done
        elif left:
            if id(piece.surface) not in timed:
                timed[id(piece.surface)] = pass_cost(piece.surface, data)
            cost = timed[id(piece.surface)]
            each = piece.attack.forward * cost.forward + piece.attack.backward * cost.backward
        found.append(
            Estimate(
                attack=piece.attack.label,
                rows=tuple(f"{cell.system.name}, {cell.threat_model}" for cell in piece.cells),
                seconds=each * left,
                is_measured=is_finished or done > 0,
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
