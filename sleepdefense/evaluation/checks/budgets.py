"""S2, S3: more budget leaves less right, and a large budget leaves nothing."""

import math
from itertools import pairwise

import numpy as np

from sleepdefense.evaluation.checks.arms import iterated
from sleepdefense.evaluation.checks.finding import Verdict, percent, skipped, tolerance
from sleepdefense.evaluation.checks.subject import Subject


def large_budget(subject: Subject) -> float:
    """Return the distance at which every image can become the same grey one: 0.5, in L2 0.5 sqrt(pixels)."""
    return 0.5 * _unit(subject)


def check_monotone(subject: Subject, threat_model: str) -> Verdict:
    """Check S2: the accuracy falls as the budget grows.

        max over k of A(e_(k+1)) - A(e_k) > d,    e: half the budget, the budget, and one that reaches grey

    Args:
        subject: What is examined.
        threat_model: Which surface.

    Returns:
        The verdict.

    Source:
        Carlini et al. 2019, checklist.
    """
    epsilon = subject.config.epsilon
    budgets = sorted({epsilon / 2, epsilon, max(epsilon, large_budget(subject))})
    left = [
        1 - float(subject.attack(threat_model, iterated(subject.config, epsilon=budget)).fools_surface.mean())
        for budget in budgets
    ]
    rise = max([0.0, *(after - before for before, after in pairwise(left))])
    limit = tolerance(subject.num_images)
    curve = ", ".join(
        f"{percent(share)} at {budget:.3g}" for budget, share in zip(budgets, left, strict=True)
    )
    if rise <= limit:
        return Verdict(
            status="passed", value=rise, limit=limit, sentence=f"More budget, less right: {curve}."
        )
    return Verdict(
        status="failed",
        value=rise,
        limit=limit,
        sentence=f"A larger budget leaves more images right: {curve}.",
        advice="An attack that may do more cannot do less: it gets lost. Use more steps, and see G1 to G4.",
    )


def check_large_budget(subject: Subject, _threat_model: str) -> Verdict:
    """Check S3: where any image can become grey nothing stands but by chance, and without a limit nothing.

        A(Linf 0.5) > 1/classes + d,    or  A(Linf 1) > 0: fails;    in L2 both times sqrt(pixels)

    Images that a smaller budget broke count as broken. All surfaces that know the whole system are used.

    Args:
        subject: What is examined.

    Returns:
        The verdict; the value is the accuracy at grey, or without a limit where that is the fault.

    Source:
        Carlini et al. 2019, checklist; Athalye et al. 2018.
    """
    if not subject.strong:
        return skipped("No attack goes through the whole system, so none can be sure to break it.")
    grey = large_budget(subject)
    standing = np.ones(subject.num_images, bool)
    for budget in sorted({min(subject.config.epsilon, grey), grey}):
        for outcome in subject.attack_strongly(iterated(subject.config, epsilon=budget)):
            standing &= ~outcome.fools_system
    at_grey = float(standing.mean())
    if standing.any():
        for outcome in subject.attack_strongly(iterated(subject.config, epsilon=2 * grey), among=standing):
            standing = standing & ~outcome.fools_system
    unbounded = float(standing.mean())
    chance = 1 / subject.num_classes + tolerance(subject.num_images)
    words = (
        f"{percent(at_grey)} are right at {grey:.3g}, where any image can be grey, and {percent(unbounded)} "
    )
    words += "without a limit"
    if at_grey <= chance and not unbounded:
        return Verdict(
            status="passed", value=at_grey, limit=chance, sentence=f"A large budget kills: {words}."
        )
    value, limit = (at_grey, chance) if at_grey > chance else (unbounded, 0.0)
    return Verdict(
        status="failed",
        value=value,
        limit=limit,
        sentence=f"The attack fails where every attack must succeed: {words}.",
        advice="The attack is broken by what it attacks: see G1 to G4, and use attacks without gradients.",
    )


def _unit(subject: Subject) -> float:
    """Return the distance between black and white."""
    return 1.0 if subject.config.norm == "Linf" else math.sqrt(subject.images[0].numel())
