"""A page of results in Markdown: printed numbers beside measured ones, and everything else measured."""

from collections.abc import Sequence

from sleepdefense.evaluation.checks.render import findings_markdown
from sleepdefense.evaluation.render import WINNER_HEADINGS, markdown_table, to_markdown, winner_cells
from sleepdefense.evaluation.results import WINNERS, RobustnessTable
from sleepdefense.evaluation.views import HEADINGS as NORM_HEADINGS
from sleepdefense.evaluation.views import norm_summary, summary_cells
from sleepdefense.papers.compare import HEADINGS, ComparedRow, compare, compared_cells
from sleepdefense.papers.printed import PrintedColumn
from sleepdefense.papers.remarks import Remark, remarks_on

UNEXPLAINED = "Nothing is known of why."
PARTIAL = "Attacks of the paper are missing, which the line names; they can only lower what stands."


def results_page(
    table: RobustnessTable, printed: PrintedColumn | None = None, *, command: str, date: str
) -> str:
    """Write a page on an evaluation, finished or not.

    Args:
        table: What was measured.
        printed: A paper's column to stand beside it.
        command: What makes this page.
        date: When it was made.

    Returns:
        Markdown. Every printed number outside the interval of the measured one has its explanation, or says
        that there is none.
    """
    parts = [*_heading(table, printed, command, date)]
    if printed is not None:
        parts += _comparison(compare(table, printed), remarks_on(printed.paper, printed.system))
    if summary := [summary_cells(line) for line in norm_summary(table)]:
        parts += [
            "## Worst case",
            "All attacks of a norm together: an image counts if it stands against each of them. What failed "
            "or is unfinished is left out, and named.",
            markdown_table(NORM_HEADINGS, "llrrrlrl", summary).rstrip(),
        ]
    if winners := [winner_cells(row) for row in table.rows if row.winners]:
        parts += ["## Stand-ins", f"{WINNERS}.", markdown_table(WINNER_HEADINGS, "lllrl", winners).rstrip()]
    if table.findings:
        parts += ["## Checks", findings_markdown(table.findings).rstrip()]
    parts += ["## All rows as measured", to_markdown(table.rows).rstrip()]
    return "\n\n".join(parts) + "\n"


def _heading(table: RobustnessTable, printed: PrintedColumn | None, command: str, date: str) -> list[str]:
    """Return the title, and how the page was made."""
    names = ", ".join(dict.fromkeys(row.system for row in table.rows))
    title = f"# Robustness of {names}"
    if printed is not None:
        title = f"# {printed.paper}, column {printed.system}: printed and measured"
    settings = table.provenance.get("fingerprint", {})
    versions = ", ".join(f"{name} {number}" for name, number in sorted(table.provenance["versions"].items()))
    scale = f"{len(table.labels)} images of '{table.provenance['data']}'"
    lines = [
        f"- **Scale**: {scale}" + (f"; {table.note}" if table.note else ""),
        f"- **Seed**: {table.provenance['seed']}; batches of {settings.get('batch_size')}",
        f"- **Versions**: {versions}",
        f"- **Written on**: {date}",
    ]
    unfinished = [row for row in table.rows if not row.is_whole and not row.is_error]
    if unfinished:
        lines.append(
            f"- **Unfinished**: {len(unfinished)} of {len(table.rows)} rows; each says how many images it has"
        )
    return [title, f"```\n{command}\n```", "\n".join(lines)]


def _comparison(lines: Sequence[ComparedRow], remarks: Sequence[Remark]) -> list[str]:
    """Return the table of both, and a remark on every row that has one or needs one."""
    numbered = {row: number for number, remark in enumerate(remarks, start=1) for row in remark.rows}
    rows = [(*compared_cells(line), _mark(line, numbered)) for line in lines]
    verdicts = [line.verdict for line in lines if line.verdict]
    outside = [line.row for line in lines if line.verdict in ("above", "below")]
    parts = [
        "## Printed and measured",
        f"Of {len(verdicts)} printed numbers {verdicts.count('inside')} are inside the 95 % Wilson interval "
        f"of what was measured, {verdicts.count('above')} above it and {verdicts.count('below')} below it; "
        "half a percent of rounding is allowed. Remarks are below the table.",
        markdown_table((*HEADINGS, "remark"), "lrrrlrlr", rows).rstrip(),
    ]
    shown = {row for line in lines for row in (line.row,)}
    told = [
        f"{number}. **{', '.join(remark.rows)}**: {remark.text}"
        + (f" Measured by `{remark.command}`." if remark.command else "")
        for number, remark in enumerate(remarks, start=1)
        if shown & set(remark.rows)
    ]
    explained = [line.row for line in lines if line.is_explained and line.row not in numbered]
    unknown = [row for row in outside if row not in numbered and row not in explained]
    if told or unknown or explained:
        parts.append("## Remarks")
    parts += ["\n".join(told)] if told else []
    if explained:
        parts.append(f"**{', '.join(explained)}**: {PARTIAL}")
    if unknown:
        parts.append(f"**{', '.join(unknown)}**: {UNEXPLAINED}")
    return parts


def _mark(line: ComparedRow, numbered: dict[str, int]) -> str:
    """Return the number of a row's remark; "?" where it needs one and has none."""
    if line.row in numbered:
        return str(numbered[line.row])
    return "?" if line.verdict in ("above", "below") and not line.is_explained else ""
