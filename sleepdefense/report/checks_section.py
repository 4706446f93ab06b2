"""What the checks of an evaluation found: what is wrong first, with what to do about it."""

from collections.abc import Sequence

from sleepdefense.evaluation.checks.finding import Finding
from sleepdefense.evaluation.results import RobustnessTable
from sleepdefense.report.findings import (
    ERROR,
    FAILED,
    PASSED,
    SKIPPED,
    WARNED,
    check_name,
    sort_findings,
    where,
)
from sleepdefense.report.markup import Html, element, folded, join, missing, table
from sleepdefense.report.words import counted

_WORDS = {
    FAILED: "failed",
    ERROR: "could not be run",
    WARNED: "warning",
    PASSED: "passed",
    SKIPPED: "left out",
}


def checks_section(found: RobustnessTable) -> Html:
    """Return the flags in plain words: failed checks and warnings first, passed ones folded."""
    if not found.findings:
        return missing(
            "No checks", "nothing was done to find out whether the networks hide their gradients from attacks"
        )
    ordered = sort_findings(found)
    flags = element("ul", *(_flag(finding) for finding in ordered.flags), class_="flags")
    passed, skipped = len(ordered.of(PASSED)), len(ordered.of(SKIPPED))
    counts = [counted(passed, "check passed", "checks passed")] if passed else []
    counts += [f"{skipped} did not apply"] if skipped else []
    rest = folded(", ".join(counts), _harmless(ordered.harmless)) if counts else Html()
    return join(flags if ordered.flags else Html(), rest)


def _flag(finding: Finding) -> Html:
    """Write what is wrong, and what to do."""
    place, numbers = where(finding), _numbers(finding)
    return element(
        "li",
        element(
            "strong", f"{check_name(finding)}: {_WORDS[finding.status]}", class_=f"flag-{finding.status}"
        ),
        element("span", f" {place}", class_="place") if place else Html(),
        element("p", finding.sentence),
        element("p", element("em", "What to do: "), finding.advice) if finding.advice else Html(),
        element("small", numbers) if numbers else Html(),
        class_=f"flag {finding.status}",
    )


def _harmless(findings: Sequence[Finding]) -> Html:
    rows = [
        (check_name(finding), _WORDS[finding.status], where(finding), finding.sentence, _numbers(finding))
        for finding in findings
    ]
    return table(("check", "outcome", "of", "what it says", "numbers"), rows)


def _numbers(finding: Finding) -> str:
    """Return what was measured, and the limit, as far as there are numbers."""
    found = (("measured", finding.value), ("limit", finding.limit))
    return ", ".join(f"{name} {value:.4g}" for name, value in found if value is not None)
