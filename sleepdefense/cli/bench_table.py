"""The figures of a benchmark as a table on the terminal."""

import shutil
from collections.abc import Mapping
from typing import Any

_WIDEST = 160


def print_measured(measured: Mapping[str, Any]) -> None:
    """Print machine, workload, figures with a bar, and then the others.

    Args:
        measured: As the benchmark writes it to JSON.
    """
    from rich.console import Console
    from rich.table import Table

    console = Console(width=max(shutil.get_terminal_size().columns, _WIDEST), highlight=False, markup=False)
    for line in _heading(measured):
        console.print(line)
    judged = Table("group", "figure", "value", "unit", "bar", "aim", "met", "note")
    for cells in _rows(measured, judged=True):
        judged.add_row(*cells)
    console.print(judged)
    told = Table("group", "figure", "value", "unit", "note")
    for cells in _rows(measured, judged=False):
        told.add_row(*cells)
    if told.row_count:
        console.print(told)
    if measured["quick"]:
        console.print("quick run: few rounds on few images; a figure near its bar needs a full run")


def _heading(measured: Mapping[str, Any]) -> list[str]:
    """Say what was measured, and on what."""
    machine, work, load = measured["machine"], measured["workload"], measured["load_average"]
    caches = ", ".join(f"{name} {size}" for name, size in machine["caches"].items()) or "caches unknown"
    known = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    rates = " ".join(f"{100 * rate:.1f}" for rate in work["firing_rates"])
    return [
        f"{machine['processor']}, {machine['cores']} cores, {caches}, {machine['memory_gib']} GiB",
        f"Python {machine['python']}, {known}; {machine['date']}; "
        f"load {_load(load['before'])} before, {_load(load['after'])} after",
        f"{work['network']}; {work['images']}; {work['different_images']} images, "
        f"batches of {work['batch']}, {work['steps']} steps; firing {rates} % of neurons a step",
    ]


def _load(values: list[float] | None) -> str:
    return "unknown" if values is None else f"{values[0]:.2f}"


def _number(value: float | None) -> str:
    """Show four digits or more.

    >>> _number(12345.6), _number(12.3456), _number(0.012344), _number(None)
    ('12346', '12.35', '0.01234', '-')
    """
    if value is None:
        return "-"
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _mark(row: Mapping[str, Any], name: str) -> str:
    if row[name] is None:
        return ""
    return f"{'>=' if row['better'] == 'more' else '<='} {row[name]:g}"


def _verdict(row: Mapping[str, Any]) -> str:
    if row["met"] is None:
        return "-"
    if not row["met"]:
        return "NO"
    return "aim" if row["aim_met"] else "yes"


def as_markdown(measured: Mapping[str, Any], command: str) -> str:
    """Return heading and tables as a Markdown page.

    Args:
        measured: As the benchmark writes it to JSON.
        command: How it was made.
    """
    title = f"# Benchmark of the {measured['benchmark']}{' (quick run)' if measured['quick'] else ''}"
    lines = [title, "", f"Made by `{command}`.", ""]
    lines += [f"{line}.  " for line in _heading(measured)]
    judged, told = _rows(measured, judged=True), _rows(measured, judged=False)
    lines += ["", *_markdown_table(("group", "figure", "value", "unit", "bar", "aim", "met", "note"), judged)]
    lines += ["", *_markdown_table(("group", "figure", "value", "unit", "note"), told)]
    return "\n".join(lines) + "\n"


def _rows(measured: Mapping[str, Any], *, judged: bool) -> list[tuple[str, ...]]:
    """Return the cells of the figures that have a bar, or have none."""
    found = []
    for row in measured["rows"]:
        if (row["bar"] is not None) == judged:
            marks = (_mark(row, "bar"), _mark(row, "aim"), _verdict(row)) if judged else ()
            found.append(
                (row["group"], row["figure"], _number(row["value"]), row["unit"], *marks, row["note"])
            )
    return found


def _markdown_table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    """Write a table.

    >>> _markdown_table(("a", "b"), [("1", "x|y")])
    ['| a | b |', '| --- | --- |', '| 1 | x/y |']
    """
    lines = [head, ("---",) * len(head), *rows]
    return ["| " + " | ".join(cell.replace("|", "/") for cell in line) + " |" for line in lines]
