"""Checks that an evaluation can be believed: S1 to S7, G1 to G5, T1 to T3, R1 to R3.

Public names are loaded on first use: a table of results holds findings, and some checks read such tables.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sleepdefense.evaluation.checks.config import CheckConfig
    from sleepdefense.evaluation.checks.finding import Finding
    from sleepdefense.evaluation.checks.register import (
        ATTACK_CHECKS,
        CHECKS,
        GRADIENT_CHECKS,
        TABLE_CHECKS,
    )
    from sleepdefense.evaluation.checks.render import (
        findings_from_json,
        findings_markdown,
        findings_summary,
        findings_text,
        findings_to_json,
    )
    from sleepdefense.evaluation.checks.run import gradient_checks, run_checks
    from sleepdefense.evaluation.checks.table import table_checks

__all__ = [
    "ATTACK_CHECKS",
    "CHECKS",
    "GRADIENT_CHECKS",
    "TABLE_CHECKS",
    "CheckConfig",
    "Finding",
    "findings_from_json",
    "findings_markdown",
    "findings_summary",
    "findings_text",
    "findings_to_json",
    "gradient_checks",
    "run_checks",
    "table_checks",
]

_HOMES = {
    "config": ("CheckConfig",),
    "finding": ("Finding",),
    "register": ("ATTACK_CHECKS", "CHECKS", "GRADIENT_CHECKS", "TABLE_CHECKS"),
    "render": (
        "findings_from_json",
        "findings_markdown",
        "findings_summary",
        "findings_text",
        "findings_to_json",
    ),
    "run": ("gradient_checks", "run_checks"),
    "table": ("table_checks",),
}


def __getattr__(name: str) -> Any:
    """Import the module that holds a public name when the name is first used."""
    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
