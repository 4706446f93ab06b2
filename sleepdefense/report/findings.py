"""What the checks of an evaluation found, sorted for a reader."""

from collections.abc import Sequence
from dataclasses import dataclass

from sleepdefense.evaluation.checks.finding import Finding
from sleepdefense.evaluation.checks.register import CHECKS
from sleepdefense.evaluation.results import RobustnessTable
from sleepdefense.report.threats import threat_of
from sleepdefense.report.words import counted, listed

FAILED, ERROR, WARNED, PASSED, SKIPPED = "failed", "error", "warned", "passed", "skipped"
_ORDER = (FAILED, ERROR, WARNED, PASSED, SKIPPED)


@dataclass(frozen=True, slots=True)
class SortedFindings:
    """The findings of a table.

    Attributes:
        flags: Failed ones first, then those that could not be run, then warnings.
        harmless: Passed ones, then those that did not apply.
    """

    flags: tuple[Finding, ...]
    harmless: tuple[Finding, ...]

    def of(self, status: str) -> list[Finding]:
        """Return the findings of one status."""
        return [finding for finding in (*self.flags, *self.harmless) if finding.status == status]


def sort_findings(table: RobustnessTable) -> SortedFindings:
    """Sort what the checks found by how much a reader must know of it."""
    ordered = sorted(table.findings, key=lambda finding: _ORDER.index(finding.status))
    return SortedFindings(
        flags=tuple(finding for finding in ordered if finding.is_flag),
        harmless=tuple(finding for finding in ordered if not finding.is_flag),
    )


def is_alarming(table: RobustnessTable) -> bool:
    """Whether a check failed or could not be run."""
    return any(finding.status in (FAILED, ERROR) for finding in table.findings)


def check_name(finding: Finding) -> str:
    """Return a check's letter and number, and what it asks for."""
    return f"{finding.check}, {CHECKS[finding.check]}" if finding.check in CHECKS else finding.check


def where(finding: Finding) -> str:
    """Say what a finding is about: the system, the threat model and the norm, as far as it names them."""
    parts = [f"'{finding.system}'"] if finding.system else []
    if finding.threat_model not in ("", "none"):
        parts.append(threat_of(finding.threat_model).short)
    if finding.norm not in ("", "none"):
        parts.append(finding.norm)
    return ", ".join(parts)


def checks_in_words(table: RobustnessTable) -> str:
    """Say in a few sentences which checks are not passed; "" if there is none."""
    found = sort_findings(table)
    failed, broken, warned = (found.of(status) for status in (FAILED, ERROR, WARNED))
    words = []
    if failed:
        them = "it finds" if len(failed) == 1 else "they find"
        words.append(
            f"{counted(len(failed), 'check')} failed: {_named(failed)}. What {them} is told below; until it "
            "is cleared up, the accuracies under attack are not to be trusted: they may be far too high."
        )
    if broken:
        words.append(f"{counted(len(broken), 'check')} could not be run: {_named(broken)}.")
    if warned:
        words.append(f"{counted(len(warned), 'check warns', 'checks warn')}: {_named(warned)}.")
    return " ".join(words)


def _named(findings: Sequence[Finding]) -> str:
    """Name checks, each once, with what they are about."""
    groups: dict[str, list[str]] = {}
    for finding in findings:
        title = f" '{CHECKS[finding.check]}'" if finding.check in CHECKS else ""
        groups.setdefault(f"{finding.check}{title}", []).append(where(finding))
    return listed(
        [
            f"{check} (for {'; '.join(dict.fromkeys(place for place in places if place))})"
            if any(places)
            else check
            for check, places in groups.items()
        ]
    )
