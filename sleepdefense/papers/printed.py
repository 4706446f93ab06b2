"""The numbers of the papers' tables, cell by cell, with those that cannot be read marked.

They live in CSV files, one for each paper: table, row, system, value, unit, as_printed. A row is an attack of
the catalogue ("L2:DDN"), all attacks of a norm ("L2:all"), their median distance ("L2:median"), or the last
row ("all:minimal"). `as_printed` is filled where the only copy at hand is damaged there: `value` is then what
the rest of the paper shows it to be, or empty.
"""

import csv
import math
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from sleepdefense.errors import ConfigError

PAPERS = ("dim2022", "nayebi2017", "talafha2023")


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintedCell:
    """One number of a paper.

    Attributes:
        table: The paper's own number of the table.
        row: What it was measured with.
        system: What it was measured on, as the paper calls it.
        value: The number; NaN where it cannot be read.
        unit: "%" or "", a distance.
        as_printed: The damaged text; "" where it is sound.
    """

    table: str
    row: str
    system: str
    value: float
    unit: str
    as_printed: str

    @property
    def is_damaged(self) -> bool:
        """Whether the text is damaged in the copy at hand."""
        return bool(self.as_printed)

    def __str__(self) -> str:
        """The number as a table shows it, with "?" where it is not sound."""
        if math.isnan(self.value):
            return f"? ('{self.as_printed}')"
        return f"{self.value:g}{' %' if self.unit == '%' else ''}{' (?)' if self.is_damaged else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintedColumn:
    """All numbers that a paper prints for one system.

    Attributes:
        paper: Such as "dim2022".
        system: As the paper calls it.
        cells: Row -> number.
    """

    paper: str
    system: str
    cells: dict[str, PrintedCell]

    def accuracy(self, row: str) -> PrintedCell | None:
        """Return what is printed for an attack ("L2:DDN") or for all of a norm ("L2:all"), or None."""
        return self.cells.get(row)


def printed_columns(paper: str) -> tuple[str, ...]:
    """Return the names of the systems of a paper.

    Raises:
        ConfigError: The paper is unknown.

    >>> printed_columns("dim2022")
    ('CNN', 'biCNN', 'Madry', 'biABS', 'ABS', 'biDIM', 'DIM', 'singleIM', 'IM', 'Dn-singleIM')
    """
    return tuple(dict.fromkeys(cell.system for cell in _cells(paper)))


def printed_column(name: str) -> PrintedColumn:
    """Return what a paper prints for a system.

    Args:
        name: Paper and system, "dim2022:CNN".

    Returns:
        The numbers.

    Raises:
        ConfigError: The paper or the system is unknown.

    >>> str(printed_column("dim2022:CNN").accuracy("L2:DDN"))
    '15 %'
    """
    paper, _, system = name.partition(":")
    known = printed_columns(paper)
    if system not in known:
        raise ConfigError(
            f"'{paper}' prints nothing for '{system}': write PAPER:SYSTEM with one of {', '.join(known)}"
        )
    cells = {cell.row: cell for cell in _cells(paper) if cell.system == system}
    return PrintedColumn(paper=paper, system=system, cells=cells)


@cache
def _cells(paper: str) -> tuple[PrintedCell, ...]:
    if paper not in PAPERS:
        raise ConfigError(f"unknown paper '{paper}': expected one of {', '.join(PAPERS)}")
    text = files("sleepdefense.papers").joinpath("tables", f"{paper}.csv").read_text(encoding="utf-8")
    return tuple(
        PrintedCell(
            table=line["table"],
            row=line["row"],
            system=line["system"],
            value=float(line["value"]) if line["value"] else math.nan,
            unit=line["unit"],
            as_printed=line["as_printed"],
        )
        for line in csv.DictReader(text.splitlines())
    )
