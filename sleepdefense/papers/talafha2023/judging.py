"""Attack the networks of a table."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import nn

from sleepdefense.attacks.parse import parse_attacks
from sleepdefense.data import ImageSet
from sleepdefense.evaluation import RobustnessTable, evaluate_systems
from sleepdefense.papers.recipe import Job
from sleepdefense.papers.talafha2023.plan import ATTACK_NAMES, Plan


def judge(
    job: Job,
    plan: Plan,
    systems: Mapping[str, nn.Module],
    test: ImageSet,
    out: Path,
    *,
    seed: int,
    attacks: Sequence[str],
    batch_size: int | None = None,
) -> tuple[RobustnessTable, dict[str, str]]:
    """Attack systems on test images, or read what an earlier run found.

    Args:
        job: What this is part of.
        plan: Its scale.
        systems: By name.
        test: Images and labels.
        out: File of the results.
        seed: Of the random parts.
        attacks: Names of attacks, as the paper calls them.
        batch_size: Images attacked at once, if not as planned.

    Returns:
        The table, and for each label of an attack the paper's name.
    """
    texts = dict(zip(ATTACK_NAMES, plan.attacks, strict=True))
    specs = parse_attacks(",".join(texts[name] for name in attacks))
    table = evaluate_systems(
        systems,
        test,
        specs,
        seed=seed,
        batch_size=batch_size or plan.batch_size,
        checks=False,
        resume=out,
        note=f"scale {job.scale}",
        progress=job.context.progress,
    )
    return table, {spec.label: name for spec, name in zip(specs, attacks, strict=True)}
