"""Checks on what finished results say of themselves: R1, R2, R3."""

from collections.abc import Iterator

import numpy as np

from sleepdefense.evaluation.checks.finding import Finding, Verdict, make_finding, percent
from sleepdefense.evaluation.checks.rows_together import AttackRow, attack_rows
from sleepdefense.evaluation.checks.valid_images import LARGEST_EXCESS
from sleepdefense.evaluation.metrics import wilson_interval
from sleepdefense.evaluation.results import CLEAN, RobustnessTable

WIDEST = 0.1
"""Half the width of a 95 % interval beyond which a number says little: that of 100 images at one half.

Source: robustness checklist, R2."""

REQUIRED = ("data", "seed", "versions", "fingerprint")
"""What a table must record of its origin. Source: robustness checklist, R3."""

REQUIRED_DIGESTS = ("images", "attacks", "systems")
"""What its fingerprint must tell apart."""


def check_table_valid(table: RobustnessTable) -> Iterator[Finding]:
    """Do R1 on the distances of a table: no attack with a budget went beyond it.

        max over finite distances of d / e > 1 + 1e-5, attacks that look for the nearest image left out

    Args:
        table: The results.

    Yields:
        A finding for each system.

    Source:
        Carlini et al. 2019, checklist.
    """
    rows = [one for one in attack_rows(table) if one.spec is not None and not one.spec.minimises]
    for system in dict.fromkeys(one.row.system for one in rows):
        excess = {one.row.attack: _excess(table, one) for one in rows if one.row.system == system}
        attack, largest = max(excess.items(), key=lambda item: item[1])
        limit = 1 + LARGEST_EXCESS
        failed = largest > limit
        verdict = Verdict(
            status="failed" if failed else "passed",
            value=largest,
            limit=limit,
            sentence=(
                f"'{attack}' counts images at {largest:.6g} of its budget as broken."
                if failed
                else f"No success lies outside its budget; the farthest is at {largest:.6g} of it."
            ),
            advice="Clip what the attack returns before it is judged." if failed else "",
        )
        yield make_finding(verdict, check="R1", system=system, threat_model="none", norm="none")


def check_table_worst_case(table: RobustnessTable) -> Iterator[Finding]:
    """Do R2: the worst case is taken image by image, and over enough images.

        mean_x min_a right(x, a),    not min_a mean_x right(x, a);    half the Wilson interval > 0.1 warns

    A row whose accuracy is not the share of images that stand in its distances fails.

    Args:
        table: The results.

    Yields:
        A finding for each system, threat model, norm and budget.

    Source:
        Carlini et al. 2019, checklist; Wilson 1927.
    """
    together: dict[tuple[str, str, str, float], list[AttackRow]] = {}
    for one in attack_rows(table):
        key = (one.row.system, one.row.threat_model, one.row.norm, float(one.row.epsilon or 0.0))
        together.setdefault(key, []).append(one)
    for (system, threat_model, norm, epsilon), rows in together.items():
        n = len(table.labels)
        standing = int((~np.any([one.broken for one in rows], axis=0)).sum())
        best = min(rows, key=lambda one: one.row.accuracy)
        lower, upper = wilson_interval(standing, n)
        half = (upper - lower) / 2
        wrong = [one.row.attack for one in rows if one.row.correct != int((~one.broken).sum())]
        words = (
            f"Image by image, {percent(standing / n)} stand at {norm} {epsilon:g} against {len(rows)} "
            f"attacks together (95 % interval {percent(lower)} to {percent(upper)}), "
            f"{percent(best.row.accuracy)} against '{best.row.attack}' alone."
        )
        if wrong:
            verdict = Verdict(
                status="failed",
                value=float(len(wrong)),
                limit=0.0,
                sentence=f"{', '.join(wrong)}: the accuracy is not the share of images that stand. {words}",
                advice="Count rows from the distances of single images again.",
            )
        elif half > WIDEST:
            verdict = Verdict(
                status="warned",
                value=half,
                limit=WIDEST,
                sentence=f"{n} images are too few to tell: {words}",
                advice="Evaluate on more images; 100 give about 10 points either way, 1000 about 3.",
            )
        else:
            verdict = Verdict(status="passed", value=half, limit=WIDEST, sentence=words)
        yield make_finding(verdict, check="R2", system=system, threat_model=threat_model, norm=norm)


def check_table_context(table: RobustnessTable) -> Iterator[Finding]:
    """Do R3: the results say what was evaluated, on what, and how.

        data, seed, versions, digests of images, attacks and systems, clean accuracy: all there

    Args:
        table: The results.

    Yields:
        A finding for each system.

    Source:
        Carlini et al. 2019, checklist.
    """
    missing = [name for name in REQUIRED if table.provenance.get(name) in (None, "", {})]
    digests = table.provenance.get("fingerprint") or {}
    missing += [f"digest of {name}" for name in REQUIRED_DIGESTS if not digests.get(name)]
    for system in dict.fromkeys(row.system for row in table.rows):
        rows = [row for row in table.rows if row.system == system]
        lacks = list(missing)
        clean = next((row for row in rows if row.attack == CLEAN and not row.is_error), None)
        if clean is None:
            lacks.append("clean accuracy")
        lacks += [f"settings of '{row.attack}'" for row in rows if row.attack != CLEAN and not row.spec]
        verdict = Verdict(
            status="failed" if lacks else "passed",
            value=float(len(lacks)),
            limit=0.0,
            sentence=(
                f"The results do not record: {', '.join(lacks)}."
                if lacks or clean is None
                else f"Data, seed, versions and digests are there; clean accuracy {percent(clean.accuracy)}."
            ),
            advice="Evaluate again with this release, and keep the file that it writes." if lacks else "",
        )
        yield make_finding(verdict, check="R3", system=system, threat_model="none", norm="none")


def _excess(table: RobustnessTable, one: AttackRow) -> float:
    """Return the largest finite distance of a row, in units of its budget."""
    distance = table.distance[one.number]
    finite = distance[np.isfinite(distance)]
    return float(finite.max(initial=0.0)) / float(one.row.epsilon or 1.0)
