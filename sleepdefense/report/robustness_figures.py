"""Bars of accuracy with their intervals."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from sleepdefense.evaluation.rows import RobustnessRow
from sleepdefense.report.canvas import (
    BLUE,
    INK,
    OTHERS,
    SOFT,
    VERMILION,
    in_our_look,
    legend_below,
    new_figure,
    say_empty,
    shorten,
)
from sleepdefense.report.roles import Roles
from sleepdefense.report.views import AttackView

MOST_BARS = 60
"""In one figure; more attacks go into further figures."""
HATCHES = ("", "////", "....", "xxxx")
"""Tell controls of the same colour from each other."""


def system_styles(roles: Roles) -> dict[str, tuple[str, str]]:
    """Return colour and hatching of each system; the three of the paper always look the same."""
    fixed = {roles.undefended: SOFT, roles.before: BLUE, roles.after: VERMILION}
    styles = {name: (colour, "") for name, colour in fixed.items() if name is not None}
    for number, name in enumerate(roles.controls):
        styles[name] = (OTHERS[number % len(OTHERS)], HATCHES[number // len(OTHERS) % len(HATCHES)])
    return styles


@in_our_look
def accuracy_bars(views: Sequence[AttackView], roles: Roles, threat_model: str, *, title: str) -> Figure:
    """Draw one bar for each attack and system, with its 95 percent interval.

    Args:
        views: The attacks, from top to bottom.
        roles: The systems, in order.
        threat_model: Which rows to show.
        title: What is shown.
    """
    count = len(_measured(views, roles, threat_model))
    height = 0.9 + 0.2 * (count // 2) + max(len(views), 1) * (0.16 * max(count, 1) + 0.2)
    drawing, (axes,) = new_figure(height=height)
    axes.set_title(title)
    draw_bars(axes, views, roles, threat_model)
    legend_below(drawing, axes, columns=2)
    return drawing


def shown_in(views: Sequence[AttackView], roles: Roles, threat_model: str) -> list[AttackView]:
    """Return what belongs into a figure of a threat model: its attacks, and what is no attack at all."""
    return [
        view
        for view in views
        if not view.is_attack or any(view.row(name, threat_model) is not None for name in roles.order)
    ]


def _measured(views: Sequence[AttackView], roles: Roles, threat_model: str) -> list[str]:
    """Return the systems that met an attack of the threat model, or all that have a row if there is none."""
    asked = [view for view in views if view.is_attack] or views
    return [name for name in roles.order if any(view.row(name, threat_model) for view in asked)]


def draw_bars(axes: Axes, views: Sequence[AttackView], roles: Roles, threat_model: str) -> None:
    """Draw the bars of `accuracy_bars` into axes that are there."""
    systems = _measured(views, roles, threat_model)
    styles = system_styles(roles)
    if not systems:
        say_empty(axes, "nothing was measured")
        return
    thickness = 0.84 / len(systems)
    for place, system in enumerate(systems):
        offset = (place - (len(systems) - 1) / 2) * thickness
        rows = [view.row(system, threat_model) for view in views]
        found = [
            (number + offset, row) for number, row in enumerate(rows) if row is not None and not row.is_error
        ]
        colour, hatch = styles[system]
        axes.barh(
            [where for where, _ in found],
            [100 * row.accuracy for _, row in found],
            height=thickness * 0.88,
            color=colour,
            hatch=hatch,
            edgecolor="white" if hatch else "none",
            linewidth=0,
            label=shorten(system, 28),
        )
        if found:
            axes.errorbar(
                [100 * row.accuracy for _, row in found],
                [where for where, _ in found],
                xerr=_whiskers([row for _, row in found]),
                fmt="none",
                ecolor=INK,
                elinewidth=0.9,
                capsize=1.6,
                capthick=0.9,
            )
        for number, row in enumerate(rows):
            if row is not None and row.status != "ok":
                _mark(axes, row, number + offset)
    axes.set_xlim(0, 100)
    axes.set_ylim(len(views) - 0.5, -0.5)
    axes.set_yticks(range(len(views)), [_tick(view) for view in views])
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("accuracy (% of images), with 95 % interval")


def _tick(view: AttackView) -> str:
    """Return the name of an attack, its settings in a line of their own."""
    name, bracket, settings = view.label.partition(" (")
    first = shorten(name + (f", {view.norm}" if view.norm else ""), 22)
    return f"{first}\n{shorten(bracket.strip() + settings, 24)}" if bracket else first


def _whiskers(rows: Sequence[RobustnessRow]) -> NDArray[np.float64]:
    """Return how far each interval reaches to the left and to the right, (2, row)."""
    left = [100 * max(row.accuracy - row.lower, 0.0) for row in rows]
    right = [100 * max(row.upper - row.accuracy, 0.0) for row in rows]
    return np.array([left, right])


def _mark(axes: Axes, row: RobustnessRow, where: float) -> None:
    """Write beside a bar that it is missing, or not to be trusted."""
    words = "failed" if row.is_error else "no gradient"
    reach = 0.0 if row.is_error else 100 * row.upper
    is_right = reach > 70
    axes.text(
        reach + (-1.5 if is_right else 1.5),
        where,
        words,
        va="center",
        ha="right" if is_right else "left",
        fontsize=7,
        style="italic",
        color=INK,
    )
