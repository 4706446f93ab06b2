"""The checks of an evaluation, put together: what is asked before, and what after the attacks."""

from collections.abc import Mapping, Sequence
from typing import Any

from sleepdefense.attacks.catalogue import AttackSpec
from sleepdefense.data.image_set import ImageSet
from sleepdefense.evaluation.checks.config import CheckConfig
from sleepdefense.evaluation.checks.finding import Finding
from sleepdefense.evaluation.checks.register import ATTACK_CHECKS
from sleepdefense.evaluation.checks.run import Progress, gradient_checks, run_checks
from sleepdefense.evaluation.checks.table import table_checks
from sleepdefense.evaluation.results import RobustnessTable
from sleepdefense.evaluation.systems import Model, System

CHECKED_NORMS: tuple[Any, ...] = ("Linf", "L2")


def choose_checks(checks: bool | CheckConfig, attacks: Sequence[AttackSpec]) -> CheckConfig | None:
    """Return what the checks attack with: the largest budget of the evaluation, in Linf if it has one.

    Args:
        checks: False for none; finished settings are returned as they are.
        attacks: What the evaluation attacks with.
    """
    if isinstance(checks, CheckConfig):
        return checks
    if not checks:
        return None
    for norm in CHECKED_NORMS:
        budgets = [spec.epsilon for spec in attacks if spec.norm == norm and spec.epsilon is not None]
        if budgets:
            return CheckConfig(norm=norm, epsilon=max(budgets))
    return CheckConfig()


def before_attacks(
    systems: Sequence[System],
    data: ImageSet,
    config: CheckConfig | None,
    *,
    seed: int,
    progress: Progress | None,
) -> tuple[Finding, ...]:
    """Check the gradients of each system: whether there are any, and whether they lead anywhere."""
    if config is None:
        return ()
    return tuple(
        finding
        for system in systems
        for finding in gradient_checks(system, data, config=config, seed=seed, progress=progress)
    )


def after_attacks(
    systems: Mapping[str, Model],
    data: ImageSet,
    table: RobustnessTable,
    config: CheckConfig | None,
    *,
    seed: int,
    progress: Progress | None,
) -> tuple[Finding, ...]:
    """Attack a few images to see whether attacks do what attacks must do, and read the finished table."""
    if config is None:
        return ()
    own = run_checks(systems, data, config=config, seed=seed, which=ATTACK_CHECKS, progress=progress)
    return merged(own, table_checks(table))


def merged(own: Sequence[Finding], read: Sequence[Finding]) -> tuple[Finding, ...]:
    """Put the findings of two kinds of checks together, each check once for what it is about.

    What the finished table says goes before what a small attack of the checks says of the same, because it
    saw more images. What the table cannot tell is not called skipped where a small attack was asked.

    Args:
        own: What small attacks found.
        read: What the table tells.
    """

    def about(finding: Finding) -> tuple[str, ...]:
        return (finding.check, finding.system, finding.threat_model, finding.norm)

    told = {about(finding) for finding in read if finding.status != "skipped"}
    done = {(finding.check, finding.system) for finding in own}
    return (
        *(finding for finding in own if about(finding) not in told),
        *(
            finding
            for finding in read
            if finding.status != "skipped" or (finding.check, finding.system) not in done
        ),
    )
