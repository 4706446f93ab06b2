"""Accuracy against the distance that an attacker may go."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from sleepdefense.evaluation.results import RobustnessTable
from sleepdefense.evaluation.views import Curve, accuracy_curve
from sleepdefense.report.canvas import QUIET, in_our_look, legend_below, new_figure, say_empty, shorten
from sleepdefense.report.robustness_figures import HATCHES, system_styles
from sleepdefense.report.roles import Roles
from sleepdefense.report.views import budgets, valid_numbers

MOST_POINTS = 400
"""Of one curve: more could not be told apart."""
UNITS = {
    "L0": "L0 distance (changed pixels)",
    "L1": "L1 distance (sum of changes, pixels in [0, 1])",
    "L2": "L2 distance (pixels in [0, 1])",
    "Linf": "Linf distance (largest change, pixels in [0, 1])",
}
_STYLES = ("-", "--", "-.", ":")  # as many as HATCHES


def distance_curve(table: RobustnessTable, system: str, norm: str) -> Curve | None:
    """Return what stands of a system against all attacks of a norm together, at every budget.

    Returns:
        The curve, with a point wherever an image falls; None where no row has a distance for every image.
    """
    numbers = valid_numbers(table, system, norm)
    if not numbers:
        return None
    nearest: NDArray[np.float64] = table.distance[numbers].min(0)
    falls = np.unique(nearest[np.isfinite(nearest)])
    if len(falls) > MOST_POINTS:
        falls = falls[np.linspace(0, len(falls) - 1, MOST_POINTS).round().astype(int)]
    marked = budgets(table.rows[number] for number in numbers)
    return accuracy_curve(table, numbers, np.union1d(falls, [0.0, *marked]), label=system)


@in_our_look
def distance_curves(table: RobustnessTable, roles: Roles, norm: str) -> Figure:
    """Draw, for each system, what stands against all attacks of a norm at every budget.

    Args:
        table: The results.
        roles: The systems, in order.
        norm: Of the attacks.
    """
    found = [curve for name in roles.order if (curve := distance_curve(table, name, norm)) is not None]
    drawing, (axes,) = new_figure(height=3.0 + 0.2 * ((len(found) + 1) // 2))
    marked = budgets(row for row in table.rows if row.norm == norm)
    axes.set_title(f"Worst case over all {norm} attacks", pad=16 if marked else None)
    if not found:
        say_empty(axes, "no attack of this norm has a result")
        return drawing
    styles = system_styles(roles)
    right = _right_end(found, marked)
    for curve in found:
        colour, hatch = styles[curve.label]
        x = np.append(curve.budgets, max(right, float(curve.budgets[-1])))
        band = [np.append(ends, ends[-1]) for ends in (curve.lower, curve.upper)]
        axes.fill_between(x, 100 * band[0], 100 * band[1], step="post", color=colour, alpha=0.13, linewidth=0)
        axes.step(
            x,
            100 * np.append(curve.accuracy, curve.accuracy[-1]),
            where="post",
            color=colour,
            linestyle=_STYLES[HATCHES.index(hatch)],
            label=shorten(curve.label, 28),
        )
    _mark_budgets(axes, marked, right)
    axes.set_xlim(0, right)
    axes.set_ylim(0, 100)
    axes.set_xlabel(UNITS.get(norm, f"{norm} distance"))
    axes.set_ylabel("accuracy (% of images)")
    legend_below(drawing, axes, columns=2)
    return drawing


def _right_end(curves: list[Curve], marked: tuple[float, ...]) -> float:
    """Return how far to draw: where all but the last images have fallen, and beyond every budget."""
    reach = [1.3 * budget for budget in marked]
    for curve in curves:
        low = curve.accuracy[-1] + 0.01 * (curve.accuracy[0] - curve.accuracy[-1])
        reach.append(1.05 * float(curve.budgets[np.argmax(curve.accuracy <= low)]))
    return max([*reach, 1e-3])


def _mark_budgets(axes: Axes, marked: tuple[float, ...], right: float) -> None:
    """Draw a line at each budget, and name it above the axes where names do not collide."""
    last = -np.inf
    for budget in marked:
        axes.axvline(budget, color=QUIET, linewidth=0.9, linestyle=(0, (3, 2)), zorder=1)
        if budget - last < 0.16 * right:
            continue
        last = budget
        axes.annotate(
            f"budget {budget:g}",
            (budget, 1),
            xycoords=("data", "axes fraction"),
            xytext=(0, 2),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=8,
            color=QUIET,
        )
