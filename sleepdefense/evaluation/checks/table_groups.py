"""Checks on finished results, one system and budget at a time: S1, S4, T1."""

from collections.abc import Iterator, Sequence

import numpy as np

from sleepdefense.evaluation.checks.finding import Finding, Verdict, make_finding, percent, tolerance
from sleepdefense.evaluation.checks.knowledge import LARGEST_GAP
from sleepdefense.evaluation.checks.rows_together import AttackRow, Group
from sleepdefense.evaluation.checks.subject import STRONG


def check_group(group: Group, check: str, num_images: int) -> Iterator[Finding]:
    """Do S1, S4 or T1 on the attacks of one budget; nothing comes where rows to compare are missing.

        S1: share of images that single steps break and all iterated gradient attacks do not   > d
        S4: share of images that attacks without gradients break and those with them do not    > d
        T1: A_white > A_oblivious + d, or A_white > A_transfer + d;  A_oblivious - A_white > 0.1 warns

    with d = 1/n + 0.01, n the images that are right without an attack, and A_white over all attacks that know
    the whole system.

    Args:
        group: The attacks.
        check: Which check.
        num_images: n.

    Yields:
        The findings.

    Source:
        Carlini et al. 2019, checklist.
    """
    doers = {"S1": _steps, "S4": _black_box, "T1": _knowledge}
    for threat_model, verdict in doers[check](group, tolerance(max(1, num_images))):
        yield make_finding(
            verdict, check=check, system=group.system, threat_model=threat_model, norm=group.norm
        )


def _steps(group: Group, limit: float) -> Iterator[tuple[str, Verdict]]:
    """S1 in each threat model."""
    for threat_model in dict.fromkeys(one.row.threat_model for one in group.rows if one.follows_gradient):
        rows = [one for one in group.rows if one.row.threat_model == threat_model and one.spec is not None]
        single = [one for one in rows if one.spec is not None and not one.spec.is_iterative]
        iterated = [one for one in rows if one.spec is not None and one.spec.is_iterative]
        if not single or not iterated:
            continue
        by_one = np.any([one.broken for one in single], axis=0)
        by_many = np.any([one.broken for one in iterated], axis=0)
        share = float((by_one & ~by_many).mean())
        names = f"{_names(single)} and {_names(iterated)} at {group.budget}"
        if share <= limit:
            words = f"Many steps do no worse than one: of {names}, the former alone break {percent(share)}."
            yield threat_model, Verdict(status="passed", value=share, limit=limit, sentence=words)
            continue
        yield (
            threat_model,
            Verdict(
                status="failed",
                value=share,
                limit=limit,
                sentence=(
                    f"Of {names}, the single steps alone break {percent(share)} of the images: the gradient "
                    "leads the iterated attacks astray."
                ),
                advice="Do not believe accuracies under gradient attacks here; look for masked gradients.",
            ),
        )


def _black_box(group: Group, limit: float) -> Iterator[tuple[str, Verdict]]:
    """S4, once a system."""
    by_strong = group.broken_by_strong
    others = [
        one
        for one in group.rows
        if not one.follows_gradient or one.row.threat_model not in (*STRONG, "oblivious")
    ]
    if by_strong is None or not others:
        return
    share = float((np.any([one.broken for one in others], axis=0) & ~by_strong).mean())
    threat_model = _strongest(group)
    if share <= limit:
        words = f"At {group.budget}, {_names(others)} break {percent(share)} that gradient attacks do not."
        yield threat_model, Verdict(status="passed", value=share, limit=limit, sentence=words)
        return
    yield (
        threat_model,
        Verdict(
            status="failed",
            value=share,
            limit=limit,
            sentence=(
                f"At {group.budget}, attacks that know less ({_names(others)}) break {percent(share)} of the "
                "images that those with gradients do not."
            ),
            advice="The gradients are masked: count the worst case over all attacks, and attack adaptively.",
        ),
    )


def _knowledge(group: Group, limit: float) -> Iterator[tuple[str, Verdict]]:
    """T1 for the whole system, and for each threat model that knows less."""
    by_strong = group.broken_by_strong
    if by_strong is None:
        return
    left_by_strong = 1 - float(by_strong.mean())
    weak = {
        one.row.threat_model
        for one in group.rows
        if one.follows_gradient and one.row.threat_model not in STRONG
    }
    for threat_model in sorted(weak):
        by_weak = group.broken(threat_model)
        left = 1 - float(by_weak.mean()) if by_weak is not None else 1.0
        words = (
            f"at {group.budget} '{group.system}' keeps {percent(left)} against attacks that see only a part "
            f"of it, and {percent(left_by_strong)} when they go through the whole system"
        )
        if left_by_strong > left + limit:
            yield (
                _strongest(group),
                Verdict(
                    status="failed",
                    value=left_by_strong - left,
                    limit=limit,
                    sentence=f"Knowing everything does less harm than knowing less: {words}.",
                    advice=(
                        "The gradient through the defence is masked: attack adaptively (BPDA, EOT, another "
                        "loss)."
                    ),
                ),
            )
        elif left - left_by_strong > LARGEST_GAP:
            yield (
                threat_model,
                Verdict(
                    status="warned",
                    value=left - left_by_strong,
                    limit=LARGEST_GAP,
                    sentence=f"The {threat_model} row is no measure of robustness: {words}.",
                    advice="Judge by the white-box and adaptive rows; quote this one only beside them.",
                ),
            )
        else:
            yield (
                threat_model,
                Verdict(
                    status="passed",
                    value=max(0.0, left - left_by_strong),
                    limit=LARGEST_GAP,
                    sentence=f"The {threat_model} row misleads nobody: {words}.",
                ),
            )


def _strongest(group: Group) -> str:
    """Return the threat model under which a finding on a whole system stands."""
    return next(one.row.threat_model for one in group.rows if one.row.threat_model in STRONG)


def _names(rows: Sequence[AttackRow]) -> str:
    """List attacks, the first few by name."""
    names = list(dict.fromkeys(one.row.attack for one in rows))
    return ", ".join(names[:_MOST_NAMES]) + (
        f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    )


_MOST_NAMES = 3
