"""What the sleep changes, and what else of the same length does: differences over the same images."""

from collections.abc import Mapping, Sequence

from sleepdefense.evaluation.results import CLEAN
from sleepdefense.papers.asleep import SHOWN_CONTROLS
from sleepdefense.papers.paired import Difference, count_differences, paired_difference
from sleepdefense.papers.recipe import Job
from sleepdefense.papers.scores import Scores
from sleepdefense.papers.side_by_side import Measured, SideBySide
from sleepdefense.papers.talafha2023.plan import ATTACK_NAMES, TARGETS

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


def control_table(
    job: Job,
    scores: Mapping[str, Scores],
    *,
    name: str,
    corner: str,
    attacks: Sequence[str] = ATTACK_NAMES,
    clean: str = CLEAN,
) -> SideBySide:
    """Return the differences to before the sleep, in points.

    Args:
        job: What this is part of.
        scores: By threat model.
        name: Of the table.
        corner: What its rows are.
        attacks: Which attacks, or substitutes, have a row.
        clean: What the clean images are called; only the first threat model shows them.
    """
    first = next(iter(scores))
    rows = [
        (
            f"{target} {CLEAN}" if attack == clean else f"{target} {attack}, {threat_model}",
            cells,
            target,
            attack,
        )
        for threat_model, cells in scores.items()
        for attack in ((clean, *attacks) if threat_model == first else attacks)
        for target in TARGETS
    ]
    measured: dict[tuple[str, str], Measured] = {}
    headings = []
    for heading, cells, target, attack in rows:
        found = differences(cells, attack, target)
        if not found:
            continue
        headings.append(heading)
        for before, _ in PAIRS:
            measured[heading, before] = cells.measured(target, attack, before) or Measured()
        for column, difference in found.items():
            measured[heading, column] = Measured(
                values=(difference.points,),
                unit="",
                status=f"{difference.lower:+.1f} to {difference.upper:+.1f}",
            )
    return SideBySide(
        name=name,
        title="Points of accuracy that the sleep changes, and its controls, with 95 % intervals over the "
        f"same images, {job.dataset}, scale {job.scale}",
        rows=tuple(headings),
        columns=(PAIRS[0][0], *list(_columns())[:3], PAIRS[1][0], *list(_columns())[3:]),
        measured=measured,
        corner=corner,
    )


def _heading(target: str, attack: str, clean: str, threat_model: str) -> str:
    return f"{target} {CLEAN}" if attack == clean else f"{target} {attack}, {threat_model}"


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
