"""Findings as text for a terminal, as Markdown and as JSON values."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sleepdefense.evaluation.checks.finding import STATUSES, Finding
from sleepdefense.evaluation.checks.register import CHECKS

_ORDER = {status: rank for rank, status in enumerate(("failed", "error", "warned", "skipped", "passed"))}


def findings_summary(findings: Sequence[Finding]) -> str:
    """Count findings in one line: "17 checks: 14 passed, 2 failed, 1 skipped"."""
    counts = Counter(finding.status for finding in findings)
    words = [
        f"{counts[status]} {'errors' if status == 'error' and counts[status] > 1 else status}"
        for status in STATUSES
        if counts[status]
    ]
    noun = "check" if len(findings) == 1 else "checks"
    return f"{len(findings)} {noun}: {', '.join(words)}" if words else "no checks"


def findings_text(findings: Sequence[Finding], *, everything: bool = False) -> str:
    """Return findings for a terminal: the flags first, each with what to do, and the summary line.

    Checks that found the same are taken together.

    Args:
        findings: What was found.
        everything: List checks that passed or did not apply as well.
    """
    shown: dict[tuple[str, ...], list[str]] = {}
    for finding in sorted(findings, key=lambda finding: _ORDER[finding.status]):
        if everything or finding.is_flag:
            advice = finding.advice if finding.is_flag else ""
            key = (finding.status, _subject(finding), finding.sentence, advice)
            shown.setdefault(key, []).append(finding.check)
    lines = []
    for (status, subject, sentence, advice), checks in shown.items():
        lines.append(f"{status:<7} {', '.join(checks)}  {subject}: {sentence}")
        if advice:
            lines.append(f"        {advice}")
    return "\n".join([*lines, findings_summary(findings)])


def findings_markdown(findings: Sequence[Finding]) -> str:
    """Return all findings as a Markdown table under the summary line."""
    rows = [
        ("check", "system", "threat model", "norm", "status", "value", "limit", "what was found"),
        ("---", "---", "---", "---", "---", "--:", "--:", "---"),
        *(
            (
                f"{finding.check} {_title(finding)}",
                finding.system,
                finding.threat_model,
                finding.norm,
                finding.status,
                _number(finding.value),
                _number(finding.limit),
                f"{finding.sentence} {finding.advice if finding.is_flag else ''}".strip(),
            )
            for finding in findings
        ),
    ]
    table = "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |\n" for row in rows)
    return f"{findings_summary(findings)}\n\n{table}"


def findings_to_json(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Return findings as JSON values."""
    return [finding.to_json() for finding in findings]


def findings_from_json(values: Sequence[Mapping[str, Any]]) -> tuple[Finding, ...]:
    """Return the findings that `findings_to_json` wrote.

    Raises:
        EvaluationError: A field is missing, unknown, or of the wrong type.
    """
    return tuple(Finding.from_json(value) for value in values)


def _subject(finding: Finding) -> str:
    """Name what a finding is about."""
    about = [part for part in (finding.threat_model, finding.norm) if part != "none"]
    return f"'{finding.system}'" + (f" ({', '.join(about)})" if about else "")


def _title(finding: Finding) -> str:
    """Return what a check is called; findings of another release may hold checks unknown here."""
    return CHECKS.get(finding.check, "")


def _number(value: float | None) -> str:
    """Write a number of a finding."""
    return "" if value is None else f"{value:.3g}"
