"""R1: what counts as an attacked image is an image, and within the budget."""

from sleepdefense.evaluation.checks.arms import iterated, single_step
from sleepdefense.evaluation.checks.finding import Verdict
from sleepdefense.evaluation.checks.subject import Subject

LARGEST_EXCESS = 1e-5
"""Relative error allowed to a distance in float32. Source: robustness checklist, R1."""


def check_valid_images(subject: Subject, threat_model: str) -> Verdict:
    """Check R1: attacked images are finite, in [0, 1] and within the budget.

        max over images of |x' - x| / e > 1 + 1e-5,    or x' outside [0, 1],    or not finite: fails

    Args:
        subject: What is examined.
        threat_model: Which surface.

    Returns:
        The verdict; the value is the largest distance in units of the budget.

    Source:
        Carlini et al. 2019, checklist.
    """
    largest, outside = 0.0, 0
    for spec in (single_step(subject.config), iterated(subject.config)):
        outcome = subject.attack(threat_model, spec)
        flat = outcome.images.flatten(1)
        outside += int((~(flat.isfinite() & (flat >= 0) & (flat <= 1)).all(1)).sum())
        largest = max(largest, float(outcome.moved.max()) / subject.config.epsilon)
    # sums of float32 numbers below 1 may miss a budget by their spacing, 2**-23
    limit = 1 + LARGEST_EXCESS + 2.0**-23 / subject.config.epsilon
    if not outside and largest <= limit:
        return Verdict(
            status="passed",
            value=largest,
            limit=limit,
            sentence=f"All attacked images are valid; the farthest has gone {largest:.6g} of the budget.",
        )
    return Verdict(
        status="failed",
        value=largest,
        limit=limit,
        sentence=(
            f"Attacked images are not valid: {outside} leave [0, 1] or are not finite, and the farthest has "
            f"gone {largest:.6g} of the budget."
        ),
        advice="Clip what the attack returns before it is judged; a success outside the budget is none.",
    )
