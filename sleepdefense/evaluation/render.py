"""A robustness table as text for a terminal, Markdown, CSV or LaTeX."""

import csv
import io
import math
from collections.abc import Mapping, Sequence

from sleepdefense.evaluation.rows import RobustnessRow

WINNER_HEADINGS = ("system", "attack", "threat model", "fallen", "brought down by")
HEADINGS = ("system", "attack", "threat model", "n", "accuracy", "95 % interval", "median distance", "status")


def to_text(rows: Sequence[RobustnessRow], *, title: str = "") -> str:
    """Return an aligned table for a terminal, with the title above it."""
    return text_table(HEADINGS, [_cells(row) for row in rows], title=title)


def text_table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, title: str = "") -> str:
    """Return cells as an aligned table for a terminal, with the title above it."""
    cells = [list(headings), *(list(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(headings))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in cells]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(line.rstrip() for line in ([title] if title else []) + lines)


def to_markdown(rows: Sequence[RobustnessRow], *, title: str = "") -> str:
    """Return a Markdown table, with the title as a paragraph above it."""
    return markdown_table(HEADINGS, "lllrrlrl", [_cells(row) for row in rows], title=title)


def markdown_table(
    headings: Sequence[str], sides: str, rows: Sequence[Sequence[str]], *, title: str = ""
) -> str:
    """Return cells as a Markdown table; `sides` has "l" or "r" for each column."""
    lines = [headings, ["--:" if side == "r" else "---" for side in sides], *rows]
    table = ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
    return "\n".join(([title, ""] if title else []) + table) + "\n"


def to_csv(rows: Sequence[RobustnessRow]) -> str:
    """Return every field of every row as numbers in full precision; what is unknown or infinite is empty."""
    names = list(RobustnessRow.__dataclass_fields__)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        writer.writerow([_plain(getattr(row, name)) for name in names])
    return stream.getvalue()


def to_latex(rows: Sequence[RobustnessRow], *, title: str = "") -> str:
    """Return a LaTeX tabular (package booktabs), inside a table with a caption if there is a title."""
    lines = [
        r"\begin{tabular}{lllrrlrl}",
        r"\toprule",
        " & ".join(_escape(heading) for heading in HEADINGS) + r" \\",
        r"\midrule",
        *(" & ".join(_escape(cell) for cell in _cells(row)) + r" \\" for row in rows),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    if title:
        lines = [r"\begin{table}", r"\centering", rf"\caption{{{_escape(title)}}}", *lines, r"\end{table}"]
    return "\n".join(lines) + "\n"


def winner_cells(row: RobustnessRow) -> tuple[str, ...]:
    """Write as text which of its stand-ins brought the images of a row down."""
    return (row.system, row.attack, row.threat_model, str(row.n - row.correct), counts_text(row.winners))


def counts_text(counts: Mapping[str, int]) -> str:
    """Write counts as text, the largest first.

    >>> counts_text({"sigmoid-10": 2, "sigmoid-20": 7, "straight-through": 0})
    'sigmoid-20 7, sigmoid-10 2, straight-through 0'
    """
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {count}" for name, count in ordered)


def _cells(row: RobustnessRow) -> list[str]:
    """Write one row as text."""
    has_distance = row.attack != "clean" and not math.isnan(row.median_distance)
    distance = "inf" if math.isinf(row.median_distance) else f"{row.median_distance:.3f}"
    unit = "L2" if row.norm == "none" else row.norm
    return [
        row.system,
        row.attack,
        row.threat_model,
        str(row.n),
        "-" if row.n == 0 else f"{100 * row.accuracy:.2f} %",
        "-" if row.n == 0 else f"{100 * row.lower:.1f} - {100 * row.upper:.1f}",
        f"{distance} {unit}" if has_distance else "-",
        row.status,
    ]


def _plain(value: str | float | Mapping[str, int] | None) -> str | float:
    """Return a value for CSV."""
    if isinstance(value, Mapping):
        return counts_text(value)
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    return value


def _escape(text: str) -> str:
    """Escape what LaTeX would take as a command."""
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    return "".join(special.get(letter, f"\\{letter}" if letter in "&%$#_{}" else letter) for letter in text)
