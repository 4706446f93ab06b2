"""Printed and measured values in one table, cell by cell."""

import csv
import io
import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sleepdefense.errors import ConfigError
from sleepdefense.evaluation.metrics import wilson_interval
from sleepdefense.evaluation.render import markdown_table, text_table
from sleepdefense.papers.printed import PrintedCell

ROUNDING = 0.005
"""A printed percentage may have lost half of one percent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What was measured for one cell.

    Attributes:
        values: One for each seed, in `unit`; empty if nothing was measured.
        n: Images behind each value. With them and the unit "%" the cell has a Wilson interval, of the images
            of all seeds together.
        unit: "%", or "" for a plain number.
        status: "" if all is well, else what is wrong or missing: "error: ...", "not run at this scale".

    Raises:
        ConfigError: A percentage is outside [0, 100], or `n` is negative.
    """

    values: tuple[float, ...] = ()
    n: int = 0
    unit: str = "%"
    status: str = ""

    def __post_init__(self) -> None:
        if self.n < 0:
            raise ConfigError(f"'n' must be >= 0, got {self.n}")
        if self.unit == "%" and self.n and any(not 0 <= value <= 100 for value in self.values):
            raise ConfigError(f"shares of {self.n} images must be in [0, 100] percent, got {self.values}")

    @property
    def mean(self) -> float:
        """Mean over seeds; NaN without values."""
        return statistics.fmean(self.values) if self.values else math.nan

    @property
    def spread(self) -> float:
        """Standard deviation over seeds; NaN with fewer than two."""
        return statistics.stdev(self.values) if len(self.values) > 1 else math.nan

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 percent Wilson interval over the images of all seeds, in percent; None without images."""
        if self.unit != "%" or not self.n or not self.values or math.isnan(self.mean):
            return None
        correct = sum(round(value / 100 * self.n) for value in self.values)
        low, high = wilson_interval(correct, self.n * len(self.values))
        return 100 * low, 100 * high

    def __str__(self) -> str:
        """The cell as a table shows it.

        >>> str(Measured(values=(95.0, 97.0), n=500))
        '96.0 ± 1.4 [94.6, 97.0]'
        >>> str(Measured(values=(1.135,), unit=""))
        '1.135'
        >>> str(Measured(status="not run at this scale"))
        'not run at this scale'
        """
        if not self.values or math.isnan(self.mean):
            return self.status or "-"
        shape = ".1f" if self.unit == "%" else ".4g"
        parts = [format(self.mean, shape)]
        if not math.isnan(self.spread):
            parts.append(f"± {self.spread:{'.1f' if self.unit == '%' else '.2g'}}")
        if self.interval is not None:
            parts.append(f"[{self.interval[0]:.1f}, {self.interval[1]:.1f}]")
        if self.status:
            parts.append(f"({self.status})")
        return " ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class SideBySide:
    """A table of a paper, and what was measured for it.

    Attributes:
        name: For names of files: "table4", "table4-white-box".
        title: What it shows, and at which scale.
        rows: Headings of the rows, in order.
        columns: Headings of the columns, in order.
        printed: (row, column) -> what the paper prints.
        measured: (row, column) -> what was measured.
        corner: Heading of the column of row headings.

    Raises:
        ConfigError: A cell belongs to no row or column of the table, or a heading stands there twice.
    """

    name: str
    title: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    printed: Mapping[tuple[str, str], PrintedCell] = field(default_factory=dict)
    measured: Mapping[tuple[str, str], Measured] = field(default_factory=dict)
    corner: str = ""

    def __post_init__(self) -> None:
        for what, headings in (("row", self.rows), ("column", self.columns)):
            if len(set(headings)) < len(headings):
                raise ConfigError(f"table '{self.name}' has a {what} twice: {', '.join(headings)}")
        for row, column in (*self.printed, *self.measured):
            if row not in self.rows or column not in self.columns:
                raise ConfigError(f"table '{self.name}' has no cell '{row}', '{column}'")

    def verdict(self, row: str, column: str) -> str:
        """Tell whether the printed number is "inside" the measured interval, "above" or "below" it, or ""."""
        printed, measured = self.printed.get((row, column)), self.measured.get((row, column))
        if printed is None or measured is None or measured.interval is None or math.isnan(printed.value):
            return ""
        low, high = measured.interval
        if printed.value > high + 100 * ROUNDING:
            return "above"
        return "below" if printed.value < low - 100 * ROUNDING else "inside"

    def markdown(self) -> str:
        """Return the table as Markdown; a column with printed numbers becomes two, printed and measured."""
        return markdown_table(self._headings(), self._sides(), self._lines(), title=self.title)

    def text(self) -> str:
        """Return the table for a terminal."""
        return text_table(self._headings(), self._lines(), title=self.title)

    def csv(self) -> str:
        """Return one line for each cell, with numbers in full precision."""
        stream = io.StringIO()
        names = [*self._cell("", "")]
        writer = csv.DictWriter(stream, names, lineterminator="\n")
        writer.writeheader()
        for cell in self.as_json()["cells"]:
            writer.writerow(cell | {"values": " ".join(str(value) for value in cell["values"])})
        return stream.getvalue()

    def as_json(self) -> dict[str, Any]:
        """Return everything as plain values."""
        cells = [
            self._cell(row, column)
            for row in self.rows
            for column in self.columns
            if (row, column) in self.printed or (row, column) in self.measured
        ]
        return {
            "name": self.name,
            "title": self.title,
            "rows": list(self.rows),
            "columns": list(self.columns),
            "cells": cells,
        }

    def _cell(self, row: str, column: str) -> dict[str, Any]:
        printed = self.printed.get((row, column))
        measured = self.measured.get((row, column), Measured())
        low, high = measured.interval or (None, None)
        return {
            "row": row,
            "column": column,
            "printed": None if printed is None or math.isnan(printed.value) else printed.value,
            "as_printed": "" if printed is None else printed.as_printed,
            "mean": _known(measured.mean),
            "spread": _known(measured.spread),
            "lower": low,
            "upper": high,
            "n": measured.n,
            "unit": measured.unit,
            "values": [_known(value) for value in measured.values],
            "verdict": self.verdict(row, column),
            "status": measured.status,
        }

    def _has_printed(self, column: str) -> bool:
        return any(known == column for _, known in self.printed)

    def _headings(self) -> list[str]:
        found = [self.corner]
        for column in self.columns:
            found += [f"{column}: printed", "measured"] if self._has_printed(column) else [column]
        return found

    def _sides(self) -> str:
        return "l" + "".join("rr" if self._has_printed(column) else "r" for column in self.columns)

    def _lines(self) -> list[list[str]]:
        lines = []
        for row in self.rows:
            line = [row]
            for column in self.columns:
                printed, measured = self.printed.get((row, column)), self.measured.get((row, column))
                if self._has_printed(column):
                    line.append("-" if printed is None else str(printed))
                line.append("-" if measured is None else str(measured))
            lines.append(line)
        return lines


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
