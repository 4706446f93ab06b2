"""Views of a table of results: everything here is computed from its distances, nothing is measured again."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from sleepdefense.evaluation.metrics import wilson_interval, within
from sleepdefense.evaluation.rows import WorstCase

if TYPE_CHECKING:
    from sleepdefense.evaluation.results import RobustnessTable

NORMS = ("L2", "Linf", "L0", "L1")
HEADINGS = ("system", "norm", "attacks", "n", "accuracy", "95 % interval", "median distance", "without")


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Accuracy against the budget.

    Attributes:
        label: What was attacked with.
        norm: What budgets are measured in.
        budgets: Ascending, (budget,).
        accuracy: Share of images that stand within each budget, (budget,); it never rises.
        lower: Lower ends of the 95 percent Wilson intervals, (budget,).
        upper: Upper ends of them, (budget,).
    """

    label: str
    norm: str
    budgets: Float64[ndarray, " budget"]
    accuracy: Float64[ndarray, " budget"]
    lower: Float64[ndarray, " budget"]
    upper: Float64[ndarray, " budget"]


def accuracy_curve(
    table: "RobustnessTable", numbers: Sequence[int], budgets: Float64[ndarray, " budget"], *, label: str
) -> Curve:
    """Return how many images stand within each budget against several rows at once.

    Only attacks that minimise the distance say something about every budget. One with a budget of its own
    says nothing about smaller ones than that: the curve is then an upper bound.

    Args:
        table: The results.
        numbers: Rows of one system and one norm, taken together image by image.
        budgets: Where to look, (budget,).
        label: Name of the curve.

    Returns:
        The curve.
    """
    nearest = table.distance[list(numbers)].min(0)
    standing = [int((~within(nearest, float(budget))).sum()) for budget in budgets]
    ends = [wilson_interval(count, len(nearest)) for count in standing]
    return Curve(
        label=label,
        norm=table.rows[numbers[0]].norm,
        budgets=np.asarray(budgets, np.float64),
        accuracy=np.array(standing, np.float64) / max(1, len(nearest)),
        lower=np.array([end[0] for end in ends]),
        upper=np.array([end[1] for end in ends]),
    )


def norm_summary(table: "RobustnessTable") -> tuple[WorstCase, ...]:
    """Take all attacks of a norm together, whatever they know of the system, image by image.

    Returns:
        A line for each system and norm, in the order L2, Linf, L0, L1; a system's last line, of the norm
        "any", counts the images that stand against everything. Corruptions are no attacks and are left out.
    """
    lines = {(line.system, line.norm): line for line in table.worst_case("all")}
    found = []
    for system in dict.fromkeys(name for name, _ in lines):
        mine = [lines[system, norm] for norm in NORMS if (system, norm) in lines]
        found += mine
        if len(mine) > 1:
            found.append(_everything(table, system, mine))
    return tuple(found)


def _everything(table: "RobustnessTable", system: str, lines: Sequence[WorstCase]) -> WorstCase:
    """Count the images that stand against all attacks of all norms."""
    numbers = [
        number
        for number, row in enumerate(table.rows)
        if row.system == system and (row.norm != "none" or row.attack == "clean") and row.is_whole
    ]
    standing = np.all([table.standing(number) for number in numbers], axis=0)
    count, n = int(standing.sum()), len(standing)
    lower, upper = wilson_interval(count, n)
    return WorstCase(
        system=system,
        threat_model="all",
        norm="any",
        attacks=tuple(attack for line in lines for attack in line.attacks),
        left_out=tuple(attack for line in lines for attack in line.left_out),
        n=n,
        correct=count,
        accuracy=count / n if n else float("nan"),
        lower=lower,
        upper=upper,
        median_distance=float("nan"),
    )


def least_accuracy(table: "RobustnessTable", system: str) -> float:
    """Return the lowest accuracy over the norms, each in its worst case.

    Source:
        The last row of the tables of the DIM paper, "minimal accuracy".

    Returns:
        A share in [0, 1]; NaN without an attack.
    """
    shares = [line.accuracy for line in norm_summary(table) if line.system == system and line.norm != "any"]
    known = [share for share in shares if not np.isnan(share)]
    return min(known) if known else float("nan")


def summary_cells(line: WorstCase) -> tuple[str, ...]:
    """Write one line of a summary as text."""
    if line.n == 0:
        numbers = ("-", "-", "-")
    else:
        median = "-" if np.isnan(line.median_distance) else f"{line.median_distance:.3g}"
        numbers = (f"{100 * line.accuracy:.2f} %", f"{100 * line.lower:.1f} - {100 * line.upper:.1f}", median)
    name = "any norm" if line.norm == "any" else line.norm
    without = ", ".join(line.left_out) or "-"
    return (line.system, name, str(len(line.attacks)), str(line.n), *numbers, without)
