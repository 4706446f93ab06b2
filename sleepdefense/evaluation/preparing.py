"""What an evaluation will do, settled before it begins, and how its work is recognised again."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sleepdefense.attacks.catalogue import AttackSpec
from sleepdefense.attacks.parse import parse_attacks
from sleepdefense.data.image_set import ImageSet
from sleepdefense.errors import ConfigError, EvaluationError
from sleepdefense.evaluation.checking import choose_checks
from sleepdefense.evaluation.checks.config import CheckConfig
from sleepdefense.evaluation.files import load_results
from sleepdefense.evaluation.plan import Work, plan_work
from sleepdefense.evaluation.record import refuse_other_work
from sleepdefense.evaluation.results import RobustnessTable
from sleepdefense.evaluation.systems import Model, System, check_system, fingerprint, make_system

NUM_POOL = 2000
"""Images among which attacks look for their start, unless told otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """What will be done.

    Attributes:
        systems: What is attacked and judged.
        work: Attacked images to be made, the clean ones first.
        checks: Settings of the checks; None for none.
        pool: Images that attacks may start from.
        identity: What the work is made from; JSON values.
    """

    systems: tuple[System, ...]
    work: tuple[Work, ...]
    checks: CheckConfig | None
    pool: ImageSet
    identity: dict[str, Any]


def prepare(
    systems: Mapping[str, Model],
    data: ImageSet,
    attacks: str | Sequence[str | AttackSpec],
    *,
    seed: int,
    batch_size: int,
    cascade: bool,
    checks: bool | CheckConfig,
    pool: ImageSet | None,
) -> Preparation:
    """Look at everything that an evaluation is given, and plan it; for the arguments see `evaluate_systems`.

    Raises:
        EvaluationError: A system cannot be evaluated.
        ConfigError: An attack is unknown, no system is given, or a number is out of range.
    """
    specs = parse_attacks(attacks)
    if batch_size < 1 or not systems:
        raise ConfigError(f"expected a batch_size >= 1 and a system, got {batch_size} and {list(systems)}")
    if not hasattr(data, "digest"):
        raise EvaluationError(
            f"expected an ImageSet of images and true labels, got a {type(data).__name__}: make one with "
            "ImageSet(name=..., images=..., labels=..., num_classes=...)"
        )
    known = tuple(make_system(name, model) for name, model in systems.items())
    for system in known:
        check_system(system, data)
    checked = choose_checks(checks, specs)
    return Preparation(
        systems=known,
        work=plan_work(known, specs),
        checks=checked,
        pool=data.take(min(NUM_POOL, len(data))) if pool is None else pool,
        identity={
            "images": data.digest,
            "attacks": [spec.identity for spec in specs],
            "systems": {system.name: fingerprint(system) for system in known},
            "seed": seed,
            "batch_size": batch_size,
            "cascade": cascade,
            "checks": None if checked is None else asdict(checked),
            "pool": None if pool is None else pool.digest,
        },
    )


def finished_table(path: Path, ready: Preparation) -> RobustnessTable:
    """Read the finished results of what is planned.

    Raises:
        EvaluationError: The file holds results of other work.
        CheckpointError: It is damaged.
    """
    table = load_results(path)
    refuse_other_work(path, table.provenance.get("fingerprint"), ready.identity)
    return table
