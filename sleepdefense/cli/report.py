"""`sleepdefense report`: one page of everything a run or an evaluation found."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

if TYPE_CHECKING:
    from sleepdefense.evaluation import RobustnessTable
    from sleepdefense.report.record import Printed

VERDICTS = {"inside": "inside the interval", "above": "above the interval", "below": "below the interval"}


@click.command(name="report")
@click.argument("path", type=click.Path(path_type=Path, exists=True))
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Default: report.html in the folder, or the file's name with the ending .html.",
)
@click.option("--printed", help="Put a paper's column beside what was measured, as in dim2022:CNN.")
@click.option("--system", help="Whose numbers the paper's column stands beside, where there are several.")
def command(path: Path, out: Path | None, printed: str | None, system: str | None) -> None:
    """Write one self-contained HTML page of PATH: a run, finished or not, or an evaluation.

    PATH is the folder that 'sleepdefense run --out' wrote, or the file that 'sleepdefense eval --out' wrote.

    \b
    Example: sleepdefense report runs/mnist
    """
    from sleepdefense.errors import ConfigError
    from sleepdefense.report import load_record, write_page

    if system is not None and printed is None:
        raise ConfigError("--system says whose numbers a paper's column stands beside: add --printed")
    record = load_record(path)
    if printed is not None:
        if record.table is None:
            raise ConfigError(f"'{path}' holds no results that '{printed}' could stand beside")
        record = replace(record, printed=_beside(record.table, printed, system))
    page = out or (path / "report.html" if path.is_dir() else path.with_suffix(".html"))
    write_page(record, page)
    click.echo(str(page))


def _beside(table: "RobustnessTable", printed: str, system: str | None) -> "Printed":
    """Return the printed numbers for what was measured."""
    from sleepdefense.papers import compare, printed_column
    from sleepdefense.report.record import Printed, PrintedNumber

    lines = compare(table, printed_column(printed), system=system)
    return Printed(
        paper=printed,
        system=system or table.rows[0].system,
        numbers={
            line.row: PrintedNumber(
                text=str(line.printed),
                verdict=VERDICTS.get(line.verdict, ""),
                median="" if line.printed_median is None else str(line.printed_median),
            )
            for line in lines
            if line.printed is not None
        },
    )
