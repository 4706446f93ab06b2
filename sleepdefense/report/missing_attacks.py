"""Which attacks a system has not met, without which its accuracy says little."""

from collections.abc import Sequence

from sleepdefense.evaluation.results import CLEAN, RobustnessTable
from sleepdefense.report.threats import ADAPTIVE, OBLIVIOUS, WHITE_BOX
from sleepdefense.report.words import listed

_THROUGH = {WHITE_BOX, ADAPTIVE}


def missing_attacks(table: RobustnessTable, systems: Sequence[str]) -> list[str]:
    """Name the kinds of attack that are missing.

    A system is asked for an adaptive attack if it has a part that some attacker overlooks, or if attacks have
    found no gradient in it; to any other the white-box attack is adapted enough.

    Args:
        table: The results.
        systems: Which systems to look at.

    Returns:
        A sentence for each kind of gap.
    """
    gaps: dict[str, list[str]] = {}
    for system in systems:
        gap = _gap(table, system)
        if gap:
            gaps.setdefault(gap, []).append(f"'{system}'")
    return [gap.format(listed(names, last="or")) for gap, names in gaps.items()]


def _gap(table: RobustnessTable, system: str) -> str:
    """Return the sentence on what is missing for one system, with room for its name."""
    rows = [row for row in table.rows if row.system == system and row.key != CLEAN and row.norm != "none"]
    if not rows:
        return "No attack was run on {}: nothing here tells how robust it is."
    found = {row.threat_model for row in rows if not row.is_error}
    tried = {row.threat_model for row in rows}
    if not found:
        return "Every attack on {} failed to run: nothing here tells how robust it is."
    if not found & _THROUGH:
        if tried & _THROUGH:
            return "Every attack through the whole of {} failed to run: what is left is an upper bound."
        return (
            "No attack followed gradients through the whole of {}, so that nothing here tells how it stands "
            "against an attacker who knows it."
        )
    has_no_gradient = any(
        row.status.startswith("no gradient") for row in rows if row.threat_model == WHITE_BOX
    )
    if ADAPTIVE not in found and (OBLIVIOUS in found or has_no_gradient):
        return "No attack was adapted to {}."
    return ""
