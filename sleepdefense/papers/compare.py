"""A measured table beside a printed one, row by row, and which rows agree."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sleepdefense.attacks.parse import parse_attack
from sleepdefense.errors import ConfigError
from sleepdefense.evaluation.metrics import median_distance, within
from sleepdefense.evaluation.render import markdown_table, text_table
from sleepdefense.evaluation.results import CLEAN, RobustnessTable
from sleepdefense.evaluation.rows import OK, UNFINISHED, RobustnessRow, count_standing
from sleepdefense.evaluation.surfaces import ADAPTIVE, WHITE_BOX
from sleepdefense.evaluation.systems import OBLIVIOUS
from sleepdefense.papers.printed import PrintedCell, PrintedColumn

ROUNDING = 0.005
"""Printed shares are rounded to a percent: half of one may be gone."""

_SUMMARIES = ("all", "median", "minimal")
"""Rows of a paper that are no attacks."""

_NAMED = 6
"""Missing attacks that are named; more are counted."""

HEADINGS = ("attack", "printed", "measured", "n", "95 % interval", "median distance", "printed is")


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedRow:
    """One printed number beside what was measured.

    Attributes:
        row: The printed row: an attack, "L2:DDN", or all of a norm, "L2:all".
        printed: What is printed; None where nothing is.
        n: Images measured; 0 where there is no result.
        accuracy: Share of images that stand, in [0, 1]; NaN without a result.
        lower: Lower end of its 95 percent Wilson interval.
        upper: Upper end of it.
        median_distance: Median distance to misclassification, in the attack's norm.
        status: "ok", or what is wrong with the measured rows.
        printed_median: The median distance that is printed, for all attacks of a norm; else None.
        missing: For all attacks of a norm: those that the paper has and the table has not, or not whole.
    """

    row: str
    printed: PrintedCell | None
    n: int
    accuracy: float
    lower: float
    upper: float
    median_distance: float
    status: str
    printed_median: PrintedCell | None = None
    missing: tuple[str, ...] = ()

    @property
    def is_explained(self) -> bool:
        """Whether attacks that are missing can be why less is printed: they would only lower what stands."""
        return bool(self.missing) and self.verdict == "below"

    @property
    def verdict(self) -> str:
        """Where the printed number lies: "inside" the interval, "above" or "below" it, or "" if unknown."""
        if self.printed is None or self.n == 0 or np.isnan(self.printed.value):
            return ""
        share = self.printed.value / 100
        if share > self.upper + ROUNDING:
            return "above"
        return "below" if share < self.lower - ROUNDING else "inside"


def compare(
    table: RobustnessTable, printed: PrintedColumn, *, system: str | None = None
) -> tuple[ComparedRow, ...]:
    """Put what was measured beside what is printed.

    Where an attack has several rows (threat models other than "oblivious"), an image stands if it stands in
    each. "All attacks" of a norm takes the attacks together that the paper has; a line after it takes every
    attack of the table that has this norm.

    Args:
        table: What was measured.
        printed: What is printed.
        system: Which system of the table; may be left out if it has one.

    Returns:
        One line for each printed attack that was measured, in the order of the paper, and the summaries.

    Raises:
        ConfigError: The table has several systems, or not this one.
    """
    name = _system(table, system)
    numbers = _numbers(table, name)
    lines: list[ComparedRow] = []
    for row, cell in printed.cells.items():
        norm, _, attack = row.partition(":")
        if attack in _SUMMARIES and attack != "all":
            continue
        if attack != "all":
            if row in numbers:
                lines.append(_line(table, row, cell, numbers[row], _epsilon(table, numbers[row])))
            continue
        theirs = [each for known in printed.cells for each in numbers.get(known, []) if _is_of(known, norm)]
        every = [each for known, found in numbers.items() if _is_of(known, norm) for each in found]
        if theirs:
            line = _line(table, row, cell, theirs, _epsilon(table, theirs))
            theirs_all = _attacks(printed, norm)
            missing = tuple(each for each in theirs_all if not _is_whole(table, numbers.get(each)))
            median = printed.cells.get(f"{norm}:median")
            lines.append(replace(line, printed_median=median, missing=missing))
        if len(every) > len(theirs):
            more = f"{norm}:all {len(every)} rows here"
            lines.append(_line(table, more, None, every, _epsilon(table, every)))
    return tuple(lines)


def _is_of(row: str, norm: str) -> bool:
    return row.startswith(f"{norm}:")


def _attacks(printed: PrintedColumn, norm: str) -> list[str]:
    """Return the rows of single attacks that a paper prints in a norm."""
    return [row for row in printed.cells if _is_of(row, norm) and row.partition(":")[2] not in _SUMMARIES]


def _is_whole(table: RobustnessTable, numbers: Sequence[int] | None) -> bool:
    """Tell whether an attack has a result for all images, in one threat model at least."""
    return any(table.rows[number].is_whole for number in numbers or ())


def _system(table: RobustnessTable, system: str | None) -> str:
    names = list(dict.fromkeys(row.system for row in table.rows))
    if system is None and len(names) == 1:
        return names[0]
    if system not in names:
        raise ConfigError(f"no system '{system}' in the table: name one of {', '.join(names)}")
    return system


def _numbers(table: RobustnessTable, system: str) -> dict[str, list[int]]:
    """Return the numbers of the rows of each attack, by its name in the catalogue."""
    found: dict[str, list[int]] = {}
    for number, row in enumerate(table.rows):
        if row.system == system and row.attack != CLEAN and row.threat_model != OBLIVIOUS:
            spec = parse_attack(row.spec)
            found.setdefault(f"{spec.norm}:{spec.name}", []).append(number)
    return found


def _epsilon(table: RobustnessTable, numbers: Sequence[int]) -> float | None:
    budgets = [table.rows[number].epsilon for number in numbers]
    known = [budget for budget in budgets if budget is not None]
    return max(known) if known else None


def _line(
    table: RobustnessTable, row: str, cell: PrintedCell | None, numbers: Sequence[int], epsilon: float | None
) -> ComparedRow:
    valid = [number for number in numbers if _counts(table.rows[number], is_group=row.find(":all") >= 0)]
    nearest: NDArray[np.float64] = table.distance[valid].min(0) if valid else np.empty(0)
    nearest = nearest[~np.isnan(nearest)]
    count = count_standing(~within(nearest, epsilon), nearest)
    return ComparedRow(
        row=row,
        printed=cell,
        n=count.n,
        accuracy=count.accuracy,
        lower=count.lower,
        upper=count.upper,
        median_distance=median_distance(nearest),
        status=_trouble([table.rows[number] for number in numbers]),
    )


def _counts(row: RobustnessRow, *, is_group: bool) -> bool:
    """Tell whether a row counts for a line; for that of a whole norm it needs results for all images."""
    return row.is_whole if is_group else not row.is_error


def _trouble(rows: Sequence[RobustnessRow]) -> str:
    """Return what is wrong with some rows, or "ok".

    That an attack found no gradient is no trouble where it went through stand-ins as well.
    """
    has_stand_ins = {row.attack for row in rows if row.threat_model == ADAPTIVE and not row.is_error}
    known = [row for row in rows if not (row.threat_model == WHITE_BOX and row.attack in has_stand_ins)]
    unfinished = [row for row in known if row.status.startswith(UNFINISHED)]
    words = [row.status for row in known if row.status != OK and row not in unfinished]
    if len(unfinished) == 1 == len(known):
        words.append(unfinished[0].status)
    elif unfinished:
        words.append(f"{len(unfinished)} of {len(known)} rows are unfinished")
    return "; ".join(dict.fromkeys(words)) or OK


def compared_markdown(lines: Sequence[ComparedRow], *, title: str = "") -> str:
    """Return the comparison as a Markdown table."""
    return markdown_table(HEADINGS, "lrrrlrl", [compared_cells(line) for line in lines], title=title)


def compared_text(lines: Sequence[ComparedRow], *, title: str = "") -> str:
    """Return the comparison as an aligned table for a terminal."""
    return text_table(HEADINGS, [compared_cells(line) for line in lines], title=title)


def compared_cells(line: ComparedRow) -> tuple[str, ...]:
    """Write one line of a comparison as text."""
    if line.n == 0:
        measured = ("-", "0", "-", "-")
    else:
        measured = (
            f"{100 * line.accuracy:.1f} %",
            str(line.n),
            f"{100 * line.lower:.1f} - {100 * line.upper:.1f}",
            f"{line.median_distance:.3g}"
            + (f" (printed {line.printed_median})" if line.printed_median is not None else ""),
        )
    words = [] if line.status == OK else [line.status]
    if line.missing:
        names = [name.partition(":")[2] for name in line.missing]
        words.append("without " + (", ".join(names) if len(names) <= _NAMED else f"{len(names)} attacks"))
    doubt = f" ({'; '.join(words)})" if words else ""
    return (
        line.row,
        "-" if line.printed is None else str(line.printed),
        *measured,
        (line.verdict or "-") + doubt,
    )
