"""Check finished results: no model is asked."""

from collections.abc import Iterator, Sequence

from sleepdefense.errors import ConfigError
from sleepdefense.evaluation.checks.finding import Finding, make_finding, skipped
from sleepdefense.evaluation.checks.register import TABLE_CHECKS
from sleepdefense.evaluation.checks.rows_together import groups_of, num_right
from sleepdefense.evaluation.checks.table_budgets import check_table_large_budget, check_table_monotone
from sleepdefense.evaluation.checks.table_groups import check_group
from sleepdefense.evaluation.checks.table_records import (
    check_table_context,
    check_table_valid,
    check_table_worst_case,
)
from sleepdefense.evaluation.results import RobustnessTable

_MISSING = {
    "S1": "there is no single-step attack beside an iterated one of the same norm and budget",
    "S2": "no attack was made with several budgets",
    "S3": "no attack that knows the whole system has a budget that turns any image into grey",
    "S4": "there is no attack without gradients, or none with, of the same norm and budget",
    "T1": "the system was attacked in one threat model only",
    "R1": "no row has a budget and a result",
    "R2": "no row has a budget and a result",
}

_SPOILT_BY_CASCADE = ("S1", "S2")


def table_checks(table: RobustnessTable, *, which: Sequence[str] = TABLE_CHECKS) -> tuple[Finding, ...]:
    """Check finished results against each other and against what they must record.

    Args:
        table: The results.
        which: Some of `TABLE_CHECKS`.

    Returns:
        The findings, check by check. A check whose rows are not there is skipped, once for each system. In a
        cascade S1 and S2 are too, because its rows count the attacks above them.

    Raises:
        ConfigError: A check does not read finished results.
    """
    unknown = [check for check in which if check not in TABLE_CHECKS]
    if unknown:
        raise ConfigError(f"expected checks among {', '.join(TABLE_CHECKS)}, got {', '.join(unknown)}")
    systems = tuple(dict.fromkeys(row.system for row in table.rows))
    findings: list[Finding] = []
    for check in dict.fromkeys(which):
        spoilt = bool(table.provenance.get("cascade")) and check in _SPOILT_BY_CASCADE
        found = [] if spoilt else list(_check(table, check))
        done = {finding.system for finding in found}
        reason = "in a cascade a row counts the attacks above it too" if spoilt else _MISSING.get(check, "")
        findings += found
        findings += [
            make_finding(
                skipped(f"Not to be told from these results: {reason}."),
                check=check,
                system=system,
                threat_model="none",
                norm="none",
            )
            for system in systems
            if system not in done
        ]
    return tuple(findings)


def _check(table: RobustnessTable, check: str) -> Iterator[Finding]:
    """Do one check on all systems."""
    match check:
        case "S2":
            yield from check_table_monotone(table)
        case "S3":
            yield from check_table_large_budget(table)
        case "R1":
            yield from check_table_valid(table)
        case "R2":
            yield from check_table_worst_case(table)
        case "R3":
            yield from check_table_context(table)
        case _:
            for group in groups_of(table):
                yield from check_group(group, check, num_right(table, group.system))
