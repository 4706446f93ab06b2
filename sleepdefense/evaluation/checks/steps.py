"""S1, S6, S7: many steps beat one, more of them change nothing, and each goes the right way."""

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from sleepdefense.evaluation.checks.arms import RELATIVE_STEP, iterated, single_step
from sleepdefense.evaluation.checks.finding import Verdict, percent, skipped, tolerance
from sleepdefense.evaluation.checks.subject import Mask, Subject
from sleepdefense.shapes import Images

LARGEST_CHANGE = 0.01
"""Relative change of the mean loss with twice the steps. Source: robustness checklist, S6."""

OTHER_STEP = 0.25
"""Another length of a step, as a fraction of epsilon; 2/N is the third. Source: robustness checklist, S6."""

LARGEST_SHARE = 0.2
"""Of steps that lower the attacked loss. Source: robustness checklist, S7, after Pintor et al. 2022."""

_NOISE = 1e-4  # relative: float32 logits are no more exact where the loss is flat


def check_many_steps(subject: Subject, threat_model: str) -> Verdict:
    """Check S1: the iterated attack breaks what the single step breaks.

        share of images that FGSM breaks and PGD does not > d,    d = 1/n + 0.01

    This includes A_PGD > A_FGSM + d, for the share is at least the difference of the accuracies.

    Args:
        subject: What is examined.
        threat_model: Which surface.

    Returns:
        The verdict.

    Source:
        Carlini et al. 2019, checklist; Athalye et al. 2018.
    """
    one, many = single_step(subject.config), iterated(subject.config)
    by_one = subject.attack(threat_model, one).fools_surface
    by_many = subject.attack(threat_model, many).fools_surface
    share, limit = float((by_one & ~by_many).mean()), tolerance(subject.num_images)
    left = (
        f"{one.name} leaves {percent(1 - by_one.mean())} right and {many.name} {percent(1 - by_many.mean())}"
    )
    if share <= limit:
        return Verdict(
            status="passed", value=share, limit=limit, sentence=f"Many steps do no worse than one: {left}."
        )
    return Verdict(
        status="failed",
        value=share,
        limit=limit,
        sentence=(
            f"A single step breaks {percent(share)} of the images that {many.number('steps'):g} steps do not "
            f"({left}): the gradient leads the iterated attack astray."
        ),
        advice="Do not believe accuracies under gradient attacks here; look for masked gradients (G1 to G5).",
    )


def check_converged(subject: Subject, threat_model: str) -> Verdict:
    """Check S6: twice the steps, twice the restarts or another length of step find no more.

        A(N) - A(2N) > d,    A(R) - A(2R) > d with R = 1,    A(step e/10) - A(step e/4 or 2e/N) > d: fails
        |L(2N) - L(N)| / L(N) > 0.01, L the mean cross-entropy of images that stand after both:       warns

    Only images that stand after the N steps are attacked again, so that a net that does not stand is cheap.

    Args:
        subject: What is examined.
        threat_model: Which surface.

    Returns:
        The verdict; the value is the largest drop of the accuracy.

    Source:
        Carlini et al. 2019, checklist.
    """
    steps = subject.config.steps
    usual = iterated(subject.config)
    standing = ~subject.attack(threat_model, usual).fools_surface
    limit = tolerance(subject.num_images)
    if not standing.any():
        return Verdict(
            status="passed", value=0.0, limit=limit, sentence=f"{steps} steps break every image already."
        )
    longer = iterated(subject.config, steps=2 * steps)
    trials = {f"{2 * steps} steps": (longer, 0), "as many from a second start": (usual, 1)}
    for fraction in sorted({OTHER_STEP, 2 / steps} - {RELATIVE_STEP}):
        trials[f"steps of {fraction:g} epsilon"] = (iterated(subject.config, relative_step=fraction), 0)
    drops = {
        name: float(
            subject.attack(threat_model, spec, run=run, among=standing).fools_surface.sum() / len(standing)
        )
        for name, (spec, run) in trials.items()
    }
    name, drop = max(drops.items(), key=lambda item: item[1])
    if drop > limit:
        return Verdict(
            status="failed",
            value=drop,
            limit=limit,
            sentence=(
                f"The attack has not converged: beyond what its {steps} steps break, {name} break "
                f"{percent(drop)} of the images."
            ),
            advice="Attack with more steps, restarts and step lengths until the accuracy stays where it is.",
        )
    change = _change_of_loss(subject, threat_model, standing)
    if change > LARGEST_CHANGE:
        return Verdict(
            status="warned",
            value=change,
            limit=LARGEST_CHANGE,
            sentence=(
                f"Twice the {steps} steps break no more images, but change the mean loss of those that stand "
                f"by {percent(change)}."
            ),
            advice=f"Use more than {2 * steps} steps for the numbers that you report.",
        )
    return Verdict(
        status="passed",
        value=drop,
        limit=limit,
        sentence=f"Beyond {steps} steps, {', '.join(trials)} break no more than {percent(drop)}.",
    )


def check_loss_rises(subject: Subject, threat_model: str) -> Verdict:
    """Check S7: the attacked loss rises, step by step and in all.

        share of PGD steps with L(k + 1) < L(k)                        > 0.2: fails
        share of images whose loss ends no higher than it began        > 0.2: fails (a flat loss never falls)

    Args:
        subject: What is examined.
        threat_model: Which surface.

    Returns:
        The verdict; the value is the larger share.

    Source:
        Pintor et al. 2022, indicators "unavailable gradients" and "non-converging attack".
    """
    spec = iterated(subject.config)
    losses = subject.attack(threat_model, spec).losses
    if len(losses) < 2:
        return skipped("The losses of this attack cannot be watched.")
    falling = float((losses[1:] < losses[:-1] * (1 - _NOISE)).double().mean())
    flat = float((losses[-1] <= losses[0]).double().mean())
    value = max(falling, flat)
    words = (
        f"{percent(falling)} of the steps of {spec.name} lower the loss, and it ends no higher than it began "
        f"on {percent(flat)} of the images"
    )
    if value <= LARGEST_SHARE:
        return Verdict(status="passed", value=value, limit=LARGEST_SHARE, sentence=f"Only {words}.")
    return Verdict(
        status="failed",
        value=value,
        limit=LARGEST_SHARE,
        sentence=f"The attack does not climb: {words}.",
        advice="The gradient does not point uphill: see G1, G2 and G4, and try shorter steps.",
    )


def _change_of_loss(subject: Subject, threat_model: str, standing: Mask) -> float:
    """Return how much twice the steps change the mean loss of the images that stand after both."""
    short = subject.attack(threat_model, iterated(subject.config))
    spec = iterated(subject.config, steps=2 * subject.config.steps)
    long = subject.attack(threat_model, spec, among=standing)
    both = standing & ~long.fools_surface
    if not both.any():
        return 0.0
    before, after = (
        _mean_loss(subject, threat_model, images, both) for images in (short.images, long.images)
    )
    return abs(after - before) / max(abs(before), float(np.finfo(np.float32).tiny))


def _mean_loss(subject: Subject, threat_model: str, images: Images, among: Mask) -> float:
    """Return the mean cross-entropy of some images, in float64."""
    chosen = torch.from_numpy(among)
    logits = subject.logits(subject.surface(threat_model), images[chosen]).double()
    return float(cross_entropy(logits, subject.labels[chosen]))
