"""The attacks that the checks are made with, taken from the catalogue."""

from sleepdefense.attacks.attack_spec import AttackSpec
from sleepdefense.attacks.catalogue import ATTACKS
from sleepdefense.evaluation.checks.config import CheckConfig

RELATIVE_STEP = 0.1
"""Step of the iterated attack, as a fraction of epsilon: one of those that S6 compares."""

_SINGLE_STEP = {"Linf": "FGSM", "L2": "FGM"}


def single_step(config: CheckConfig) -> AttackSpec:
    """Return the attack of one gradient step."""
    return ATTACKS[f"{config.norm}:{_SINGLE_STEP[config.norm]}"].with_settings(epsilon=config.epsilon)


def iterated(
    config: CheckConfig,
    *,
    epsilon: float | None = None,
    steps: int | None = None,
    relative_step: float = RELATIVE_STEP,
) -> AttackSpec:
    """Return the attack of many gradient steps from a random start.

    Args:
        config: The usual budget and number of steps.
        epsilon: Another budget.
        steps: Another number of steps.
        relative_step: Length of a step, as a fraction of epsilon.
    """
    return ATTACKS[f"{config.norm}:PGD"].with_settings(
        epsilon=config.epsilon if epsilon is None else epsilon,
        steps=config.steps if steps is None else steps,
        relative_step=relative_step,
    )


def query_attack(config: CheckConfig) -> AttackSpec:
    """Return an attack that sees outputs only."""
    return ATTACKS[f"{config.norm}:Square"].with_settings(epsilon=config.epsilon, queries=config.num_queries)
