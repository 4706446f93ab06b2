"""G3: what the model gives are logits, and the cross-entropy of them is not flat."""

import torch

from sleepdefense.attacks.losses import margin_loss
from sleepdefense.evaluation.checks.finding import Verdict, percent
from sleepdefense.evaluation.checks.subject import Subject

ROUNDING = 1e-4
"""How exactly rows of probabilities sum to one; as `systems.check_system` has it."""

SATURATED = 1.0 - 1e-6
"""Largest probability above which the cross-entropy is all but flat. Source: robustness checklist, G3."""

UNDERFLOW = 87.0
"""Lead of the true logit beyond which exp(-lead) leaves the normal float32 numbers: 2**-126 = exp(-87.3)."""

LARGEST_SHARE = 0.75
"""Saturated images that call for another loss. No source: the plain CNN on MNIST has 0.32 and is broken by
cross-entropy at once, so that being sure alone is no mask."""


def check_usable_logits(subject: Subject, threat_model: str) -> Verdict:
    """Look for probabilities in place of logits, and for a softmax that has nothing left to lose.

        probabilities:  all z in [0, 1] and |sum_j z_j - 1| < 1e-4                         fails
        underflow:      share of images with z_y - max over j != y of z_j > 87             fails if > 0
        saturated:      share of images with max softmax(z) > 1 - 1e-6                     warns if > 0.75

    Args:
        subject: What is examined.
        threat_model: Which surface.

    Returns:
        The verdict.

    Source:
        AutoAttack, "softmax" flag; Carlini and Wagner 2017 (defensive distillation).
    """
    logits = subject.logits(subject.surface(threat_model), subject.images).double()
    within = bool(((logits >= 0) & (logits <= 1)).all())
    if within and bool(((logits.sum(1) - 1.0).abs() < ROUNDING).all()):
        return Verdict(
            status="failed",
            value=1.0,
            limit=0.0,
            sentence="The outputs are probabilities, not logits: their gradients vanish where it is sure.",
            advice="Leave out the softmax, or attack the logarithm of the outputs.",
        )
    lead = -margin_loss(logits, subject.labels)
    underflow = float((lead > UNDERFLOW).double().mean())
    saturated = float((torch.softmax(logits, 1).amax(1) > SATURATED).double().mean())
    if underflow > 0:
        return Verdict(
            status="failed",
            value=underflow,
            limit=0.0,
            sentence=(
                f"On {percent(underflow)} of the images the true logit leads by more than {UNDERFLOW:g}: the "
                "gradient of the cross-entropy is rounded to zero, and attacks that follow it stand still."
            ),
            advice="Attack with the margin or the DLR loss, or divide the logits by a temperature.",
        )
    if saturated > LARGEST_SHARE:
        return Verdict(
            status="warned",
            value=saturated,
            limit=LARGEST_SHARE,
            sentence=(
                f"The softmax is saturated on {percent(saturated)} of the images: the cross-entropy is all "
                "but flat there."
            ),
            advice="Attack with the margin or the DLR loss as well, and keep the worse result.",
        )
    return Verdict(
        status="passed",
        value=saturated,
        limit=LARGEST_SHARE,
        sentence=f"The outputs are logits; the softmax is saturated on {percent(saturated)} of the images.",
    )
