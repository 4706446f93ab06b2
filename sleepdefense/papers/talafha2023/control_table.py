"""What the sleep changes, and what else of the same length does: differences over the same images."""

from collections.abc import Mapping, Sequence

from sleepdefense.evaluation.results import CLEAN
from sleepdefense.papers.asleep import SHOWN_CONTROLS
from sleepdefense.papers.paired import Difference, count_differences, paired_difference
from sleepdefense.papers.recipe import Job
from sleepdefense.papers.scores import Scores
from sleepdefense.papers.side_by_side import Measured, SideBySide
from sleepdefense.papers.talafha2023.plan import ATTACK_NAMES, TARGETS, Plan

PAIRS = (("Defense-VAE", "Our model"), ("E2E before sleep", "Our model (E2E)"))
"""Each purifier before its sleep, and after it."""


def _columns() -> dict[str, tuple[str, str]]:
    """Return the columns with differences: heading -> (system, system before sleep)."""
    found = {}
    for before, after in PAIRS:
        found[f"{after}: sleep"] = (after, before)
        found |= {f"{after}: {name}": (f"{after}: {name}", before) for name in SHOWN_CONTROLS}
    return found


def differences(scores: Scores, attack: str, name: str) -> dict[str, Difference]:
    """Return, for one row, each measured difference to before the sleep, by column."""
    found = {}
    for heading, (system, before) in _columns().items():
        now, then = scores.get(name, attack, system), scores.get(name, attack, before)
        if now is not None and then is not None:
            found[heading] = paired_difference(now.pooled, then.pooled)
    return found


def control_table(job: Job, plan: Plan, scores: Mapping[str, Scores]) -> SideBySide:
    """Return the differences to before the sleep, in points.

    Args:
        job: What this is part of.
        plan: Its scale.
        scores: By threat model.
    """
    measured: dict[tuple[str, str], Measured] = {}
    headings: list[str] = []
    for threat_model, cells in scores.items():
        for attack in (CLEAN, *ATTACK_NAMES):
            for name in TARGETS:
                row = f"{name} {attack}, {threat_model}"
                found = differences(cells, attack, name)
                if not found or (attack == CLEAN and headings and threat_model != next(iter(scores))):
                    continue
                headings.append(row if attack != CLEAN else f"{name} {attack}")
                for before, _ in PAIRS:
                    measured[headings[-1], before] = cells.measured(name, attack, before) or Measured()
                for column, difference in found.items():
                    measured[headings[-1], column] = Measured(
                        values=(difference.points,),
                        unit="",
                        status=f"{difference.lower:+.1f} to {difference.upper:+.1f}",
                    )
    return SideBySide(
        name="table4-controls",
        title="Points of accuracy that the sleep changes, and its controls, with 95 % intervals over the "
        f"same images, {job.dataset}, scale {job.scale}",
        rows=tuple(headings),
        columns=(PAIRS[0][0], *list(_columns())[:3], PAIRS[1][0], *list(_columns())[3:]),
        measured=measured,
        corner="classifier, attack",
    )


def sleep_findings(scores: Mapping[str, Scores], attacks: Sequence[str] = ATTACK_NAMES) -> list[str]:
    """Count the cells in which the sleep, or a control, changed more than chance would.

    Args:
        scores: By threat model.
        attacks: Which of their attacks, or substitutes, to look at.
    """
    sentences = []
    for heading in _columns():
        found = {
            f"{name} {attack}, {threat_model}": differences(cells, attack, name).get(heading)
            for threat_model, cells in scores.items()
            for attack in attacks
            for name in TARGETS
        }
        known = {row: difference for row, difference in found.items() if difference is not None}
        if known:
            sentences.append(count_differences(heading, known))
    return sentences
