"""Checks on finished results across budgets: S2, S3."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from sleepdefense.evaluation.checks.finding import Finding, Verdict, make_finding, percent, tolerance
from sleepdefense.evaluation.checks.rows_together import AttackRow, attack_rows, num_right
from sleepdefense.evaluation.checks.subject import STRONG
from sleepdefense.evaluation.metrics import median_distance
from sleepdefense.evaluation.results import RobustnessTable

GREY = 0.5
"""Linf budget that turns any image into grey."""

ANOTHER_DIGIT = 9.0
"""Median L2 distance of an MNIST digit to the nearest one of another class.

Source: the paper on denoised internal models (robustness checklist, S3)."""

_CURVE = "A larger budget leaves more images right"


def check_table_monotone(table: RobustnessTable) -> Iterator[Finding]:
    """Do S2 on attacks that a table has at several budgets.

        max over k of A(e_(k+1)) - A(e_k) > d,    the same attack, surface and settings

    Args:
        table: The results.

    Yields:
        A finding for each such attack.

    Source:
        Carlini et al. 2019, checklist.
    """
    curves: dict[tuple[str, str, str, str], list[AttackRow]] = {}
    for one in attack_rows(table):
        if one.spec is not None and not one.spec.minimises and one.follows_gradient:
            name = (one.row.system, one.row.threat_model, one.row.norm, one.spec.name)
            curves.setdefault(name, []).append(one)
    for (system, threat_model, norm, attack), rows in curves.items():
        best: dict[float, float] = {}
        for one in rows:
            epsilon = float(one.row.epsilon or 0.0)
            best[epsilon] = min(best.get(epsilon, 1.0), 1 - float(one.broken.mean()))
        if len(best) < 2:
            continue
        points = sorted(best.items())
        rise = max(0.0, *(after[1] - before[1] for before, after in pairwise(points)))
        limit = tolerance(max(1, num_right(table, system)))
        curve = ", ".join(f"{percent(left)} at {epsilon:g}" for epsilon, left in points)
        failed = rise > limit
        verdict = Verdict(
            status="failed" if failed else "passed",
            value=rise,
            limit=limit,
            sentence=f"{_CURVE if failed else 'More budget, less right'} under {attack}: {curve}.",
            advice="An attack that may do more cannot do less: it gets lost. Use more steps."
            if failed
            else "",
        )
        yield make_finding(verdict, check="S2", system=system, threat_model=threat_model, norm=norm)


def check_table_large_budget(table: RobustnessTable) -> Iterator[Finding]:
    """Do S3 where a table has attacks with a large budget, or without one.

        Linf, e >= 0.5:        A > 1/classes + d
        L2, on MNIST, attacks that look for the nearest image:    median over images of min distance > 9

    Only attacks that know the whole system, taken together.

    Args:
        table: The results.

    Yields:
        The findings.

    Source:
        Carlini et al. 2019, checklist.
    """
    num_classes = int(table.labels.max()) + 1
    rows = [one for one in attack_rows(table) if one.row.threat_model in STRONG and one.spec is not None]
    for system in dict.fromkeys(one.row.system for one in rows):
        mine = [one for one in rows if one.row.system == system]
        large = [
            one
            for one in mine
            if one.row.norm == "Linf" and (one.row.epsilon or 0.0) >= GREY and one.follows_gradient
        ]
        if large:
            left = 1 - float(np.any([one.broken for one in large], axis=0).mean())
            chance = 1 / num_classes + tolerance(max(1, num_right(table, system)))
            words = f"{percent(left)} are right where any image can be grey (Linf {GREY:g} and more)"
            yield _large(system, large, "Linf", left, chance, words)
        nearest = [
            one for one in mine if one.row.norm == "L2" and one.spec is not None and one.spec.minimises
        ]
        if nearest and str(table.provenance.get("data", "")).startswith("mnist"):
            median = median_distance(table.distance[[one.number for one in nearest]].min(0))
            words = f"the median distance is {median:.3g} in L2, and that to another digit {ANOTHER_DIGIT:g}"
            yield _large(system, nearest, "L2", median, ANOTHER_DIGIT, words)


def _large(system: str, rows: list[AttackRow], norm: str, value: float, limit: float, words: str) -> Finding:
    """Return the finding of S3 on some rows."""
    failed = not value <= limit
    start = "Attacks fail where every attack must succeed" if failed else "A large budget kills"
    verdict = Verdict(
        status="failed" if failed else "passed",
        value=value,
        limit=limit,
        sentence=f"{start}: {words}.",
        advice="The attacks are broken by what they attack: look for masked gradients." if failed else "",
    )
    return make_finding(verdict, check="S3", system=system, threat_model=rows[0].row.threat_model, norm=norm)
