"""T1, T2: knowing the defence helps the attack, and without the defence nothing stands."""

import numpy as np

from sleepdefense.evaluation.checks.arms import iterated, single_step
from sleepdefense.evaluation.checks.black_box import broken_by_strong
from sleepdefense.evaluation.checks.budgets import large_budget
from sleepdefense.evaluation.checks.finding import Verdict, percent, skipped, tolerance
from sleepdefense.evaluation.checks.subject import STRONG, Mask, Subject

OBLIVIOUS = "oblivious"
"""The threat model in which the attack does not know of the defence."""

LEAST_BUDGET = 0.3
"""Linf budget at which nothing is left of an undefended CNN on MNIST. Source: robustness checklist, T2."""

LARGEST_GAP = 0.1
"""By how much an attack that knows less may look better for the system before a reader must be told.

No source: an order of magnitude below what purifiers show (88 % against 0.4 %)."""


def check_knowledge_helps(subject: Subject, threat_model: str) -> Verdict | None:
    """Check T1: an attack through the whole system does at least the harm of one that ignores the defence.

        A_white > A_oblivious + d,  or A_white > A_transfer + d: fails, for the surfaces that know all
        A_oblivious - A_white > 0.1: warns, for each surface that knows less

    A counts images that stand after single and iterated steps, judged on the whole system; A_white takes all
    surfaces together that know all of it, and is reported once.

    Args:
        subject: What is examined.
        threat_model: Which surface.

    Returns:
        The verdict, or None where it was given for another surface.

    Source:
        Carlini et al. 2019, checklist (adaptive attacks); Tramer et al. 2020.
    """
    if not subject.strong:
        return skipped("No attack goes through the whole system: its robustness is not known at all.")
    left_by_strong = 1 - float(broken_by_strong(subject).mean())
    if threat_model not in STRONG:
        return _flag_weak(subject, threat_model, left_by_strong)
    if threat_model != subject.strong[0]:
        return None
    left = {
        name: 1 - float(broken.mean())
        for name in (*subject.weak, *subject.donors)
        if (broken := _broken_through(subject, name)) is not None
    }
    if not left:
        return skipped("The system has one surface, and there is no other system to transfer from.")
    name, least = min(left.items(), key=lambda item: item[1])
    limit = tolerance(subject.num_images)
    words = (
        f"{percent(left_by_strong)} are left by attacks through the whole system, {percent(least)} by those"
    )
    words += f" made on '{name}'"
    if left_by_strong <= least + limit:
        return Verdict(
            status="passed",
            value=max(0.0, left_by_strong - least),
            limit=limit,
            sentence=f"Knowing the whole system helps the attack: {words}.",
        )
    return Verdict(
        status="failed",
        value=left_by_strong - least,
        limit=limit,
        sentence=f"The attack that knows everything does less harm than one that knows less: {words}.",
        advice="The gradient through the defence is masked: attack adaptively (BPDA, EOT, another loss).",
    )


def check_without_defence(subject: Subject, threat_model: str) -> Verdict | None:
    """Check T2: the classifier without its defence does not stand.

        A(classifier alone, attacked and judged by itself) > d: fails

    at Linf 0.3, or L2 0.15 sqrt(pixels), where the budget is smaller: less need not break a plain classifier.

    Args:
        subject: What is examined.
        threat_model: Which surface.

    Returns:
        The verdict; None for surfaces of a system that has an oblivious one.

    Source:
        Carlini et al. 2019, checklist (ablation).
    """
    if OBLIVIOUS not in subject.system.surfaces:
        return skipped("The system has no surface without its defence.")
    if threat_model != OBLIVIOUS:
        return None
    least = LEAST_BUDGET if subject.config.norm == "Linf" else 0.3 * large_budget(subject)
    epsilon = max(subject.config.epsilon, least)
    outcome = subject.attack(OBLIVIOUS, iterated(subject.config, epsilon=epsilon))
    left, limit = 1 - float(outcome.fools_surface.mean()), tolerance(subject.num_images)
    words = f"without the defence {percent(left)} are left at {subject.config.norm} {epsilon:.3g}"
    if left <= limit:
        return Verdict(status="passed", value=left, limit=limit, sentence=f"The attack works: {words}.")
    return Verdict(
        status="failed",
        value=left,
        limit=limit,
        sentence=f"The attack does not even break the classifier alone: {words}.",
        advice=(
            "What stands behind the defence may be the classifier's doing, or the attack's. Strengthen the "
            "attack; if the classifier was trained against attacks, say so beside the table."
        ),
    )


def _flag_weak(subject: Subject, threat_model: str, left_by_strong: float) -> Verdict:
    """Say whether the row of a weaker threat model would mislead."""
    broken = _broken_through(subject, threat_model)
    left = 1.0 if broken is None else 1 - float(broken.mean())
    gap = left - left_by_strong
    words = (
        f"'{subject.system.name}' keeps {percent(left)} against an attack that sees only a part of it, and "
        f"{percent(left_by_strong)} when the attack goes through the whole system"
    )
    if gap <= LARGEST_GAP:
        return Verdict(
            status="passed",
            value=max(0.0, gap),
            limit=LARGEST_GAP,
            sentence=f"The {threat_model} row misleads nobody: {words}.",
        )
    return Verdict(
        status="warned",
        value=gap,
        limit=LARGEST_GAP,
        sentence=f"The {threat_model} row is no measure of robustness: {words}.",
        advice="Judge robustness by the white-box and adaptive rows; quote this one only beside them.",
    )


def _broken_through(subject: Subject, name: str) -> Mask | None:
    """Return where single and iterated steps through one surface fool the whole system; None if none can."""
    specs = (single_step(subject.config), iterated(subject.config))
    outcomes = [subject.transfer(name, spec) for spec in specs]
    broken = [outcome.fools_system for outcome in outcomes if outcome is not None]
    return np.any(broken, axis=0) if broken else None
