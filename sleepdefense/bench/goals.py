"""What the kernels are held to, and how a measured figure is judged."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple


class Goal(NamedTuple):
    """A figure with a bar.

    Attributes:
        group: Which part of the benchmark measures it.
        figure: What it is.
        unit: Of value, bar and aim.
        bar: What must be reached.
        aim: What would be good; None: nothing beyond the bar.
        at_least: Values above the bar are good; otherwise those below.
    """

    group: str
    figure: str
    unit: str
    bar: float
    aim: float | None = None
    at_least: bool = True


GOALS: Final = {
    "spyketorch": Goal("opponents", "against SpykeTorch's functions, winners per image", "x", 60, 100),
    "snntorch-image": Goal("opponents", "against snntorch + NumPy k-WTA, winners per image", "x", 20, 40),
    "snntorch-step": Goal("opponents", "against snntorch + NumPy k-WTA, winners per step", "x", 25, 40),
    "conv-5": Goal("rates", "against the best time-batched fp32 convolution, no learning, 5 %", "x", 8, 12),
    "conv-30": Goal("rates", "the same at 30 %: still faster", "x", 1),
    "peak-layers": Goal("peak", "S2-S4, adds per second / peak of adds in L1, i16", "%", 70, 85),
    "peak-pass": Goal("peak", "whole pass, adds per second / peak of adds in L1, i16", "%", 45, 65),
    "learning-image": Goal(
        "learning", "overhead of learning, all in, winners per image", "%", 3, None, False
    ),
    "learning-step": Goal(
        "learning", "overhead of learning, all in, winners per step", "%", 20, 10, at_least=False
    ),
    "flat": Goal("steps", "time per operation, 25 to 400 steps: largest deviation", "%", 5, at_least=False),
    "threads": Goal("threads", "second thread, wall time", "x", 1.9),
    "compile-cold": Goal("compile", "first call of a first process", "CPU s", 12, at_least=False),
    "compile-cached": Goal("compile", "first call of a second process", "CPU s", 1, at_least=False),
    "memory": Goal("memory", "workspace of a worker", "MB", 2, at_least=False),
    "memory-steps": Goal("memory", "more memory for 400 steps than for 25", "MB", 0.5, at_least=False),
}
"""The bars, by key, in the order of the table."""

GROUPS: Final = tuple(dict.fromkeys(goal.group for goal in GOALS.values()))
"""Parts of the benchmark that can be run alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table.

    Attributes:
        group: Which part measured it.
        figure: What it is.
        unit: Of the value.
        value: What was measured; None: nothing, and the note says why.
        bar: What must be reached; None: the line is for information.
        aim: What would be good.
        at_least: Values above the bar are good; otherwise those below.
        note: What one must know to read the value.
        is_judged: Whether the value may be held against the bar; the note says why not.
    """

    group: str
    figure: str
    unit: str
    value: float | None
    bar: float | None = None
    aim: float | None = None
    at_least: bool = True
    note: str = ""
    is_judged: bool = True

    @property
    def met(self) -> bool | None:
        """Is the bar reached? None: there is no bar, no value, or no fair judgement."""
        return self._reaches(self.bar)

    @property
    def aim_met(self) -> bool | None:
        """The same for the aim."""
        return self._reaches(self.aim)

    def _reaches(self, mark: float | None) -> bool | None:
        if self.value is None or mark is None or not self.is_judged:
            return None
        return self.value >= mark if self.at_least else self.value <= mark

    def to_json(self) -> dict[str, object]:
        """Return the line, fit for JSON."""
        return {
            "group": self.group,
            "figure": self.figure,
            "value": self.value,
            "unit": self.unit,
            "bar": self.bar,
            "aim": self.aim,
            "better": "more" if self.at_least else "less",
            "met": self.met,
            "aim_met": self.aim_met,
            "note": self.note,
        }


def judge(key: str, value: float | None, note: str = "", *, is_judged: bool = True) -> Row:
    """Hold a figure against its bar.

    Args:
        key: Of `GOALS`.
        value: In the unit of the goal; None: not measured.
        note: What one must know; why nothing was measured.
        is_judged: False where the conditions were not those of the goal.

    >>> judge("threads", 1.95).met, judge("threads", 1.2).met, judge("threads", None, "one core").met
    (True, False, None)
    """
    goal = GOALS[key]
    return Row(
        group=goal.group,
        figure=goal.figure,
        unit=goal.unit,
        value=value,
        bar=goal.bar,
        aim=goal.aim,
        at_least=goal.at_least,
        note=note,
        is_judged=is_judged,
    )


def tell(group: str, figure: str, value: float | None, unit: str, note: str = "") -> Row:
    """Report a figure without a bar."""
    return Row(group=group, figure=figure, unit=unit, value=value, note=note)


def missing(rows: Iterable[Row], groups: Iterable[str], note: str) -> list[Row]:
    """Return a line for each goal of these groups that no row speaks of."""
    known = {row.figure for row in rows}
    wanted = set(groups)
    return [
        judge(key, None, note)
        for key, goal in GOALS.items()
        if goal.group in wanted and goal.figure not in known
    ]
