"""What stands against everything: the worst case of each norm, and at every distance."""

import math
from collections.abc import Sequence

from sleepdefense.evaluation.results import RobustnessTable
from sleepdefense.evaluation.rows import RobustnessRow, WorstCase
from sleepdefense.evaluation.views import NORMS, norm_summary
from sleepdefense.evaluation.worst import ALL
from sleepdefense.report.attack_cells import printed_cell, share_with_bar
from sleepdefense.report.canvas import png_bytes
from sleepdefense.report.curve_figures import distance_curve, distance_curves
from sleepdefense.report.markup import Html, captioned, element, figure, missing
from sleepdefense.report.record import Printed
from sleepdefense.report.robustness_figures import system_styles
from sleepdefense.report.roles import Roles
from sleepdefense.report.threats import in_order, threat_of
from sleepdefense.report.views import budgets, distance_in_words, minimises
from sleepdefense.report.words import budgets_in_words, listed

KNOWS = "what the attacker knows"


def worst_section(table: RobustnessTable, roles: Roles, printed: Printed | None) -> Html:
    """Return a line for each system and norm: what all attacks of it leave together, image by image."""
    lines = norm_summary(table)
    if not lines:
        return missing("No worst case", "nothing was attacked with a budget")
    beside = (
        printed if printed is not None and any(f"{norm}:all" in printed.numbers for norm in NORMS) else None
    )
    headings = ["norm", "attacks", "budget", "accuracy", "median distance"]
    headings += [f"printed in {beside.paper}"] if beside is not None else []
    headings += [KNOWS]
    head = element("tr", *(element("th", heading, class_=_side(heading)) for heading in headings))
    styles, bodies = system_styles(roles), []
    for name in roles.order:
        mine = [line for line in lines if line.system == name]
        if not mine:
            continue
        mark = element("span", class_="chip ink", style=f"background:{styles[name][0]}")
        title = element(
            "tr", element("th", mark, name, colspan=str(len(headings)), scope="rowgroup"), class_="group"
        )
        rows = [each for line in mine for each in _lines(table, line, styles[name][0], beside)]
        bodies.append(element("tbody", title, *rows))
    caption = (
        "The worst case. An image counts as correct only if it is right without an attack and no attack of "
        "the norm, in any threat model, makes it wrong within its budget. Interval: 95 %, Wilson. Distances "
        "are those of the norm; half of the images can be made wrong within the median one."
    )
    if beside is not None:
        caption += (
            f" Whether '{beside.paper}' was measured on such images and networks, the reader must know."
        )
    return captioned(element("table", element("thead", head), *bodies, class_="accuracy worst"), caption)


def _lines(table: RobustnessTable, line: WorstCase, colour: str, beside: Printed | None) -> list[Html]:
    """Return the line of one norm, and, where its attacks have different budgets, one for each of these."""
    rows = [
        row
        for row in table.rows
        if row.system == line.system and row.norm != "none" and line.norm in (row.norm, "any")
    ]
    left_out = _left_out([row for row in rows if row.is_error])
    found = {row.epsilon for row in rows}
    if line.norm == "any":
        return [_line(line, rows, "each its own", colour, left_out, beside)]
    budget = budgets_in_words(found) if len(found) == 1 else "each its own"
    lines = [_line(line, rows, budget, colour, left_out, beside)]
    if len(found) > 1 and not math.isnan(line.median_distance):
        for epsilon in budgets(rows):
            within = next(
                each
                for each in table.worst_case(ALL, epsilon=epsilon)
                if (each.system, each.norm) == (line.system, line.norm)
            )
            words = element("td", f"within {epsilon:g}", class_="number")
            empty = [element("td", "")] * 2
            rest = [element("td", "")] * (2 + (beside is not None))
            accuracy = element("td", _accuracy(within, colour), class_="number")
            lines.append(element("tr", *empty, words, accuracy, *rest))
    return lines


def _line(
    line: WorstCase,
    rows: Sequence[RobustnessRow],
    budget: str,
    colour: str,
    left_out: Html,
    beside: Printed | None,
) -> Html:
    """Return one line of the table."""
    is_any = line.norm == "any"
    met = [row for row in rows if not row.is_error]
    knows = ", ".join(threat_of(model).short for model in in_order(row.threat_model for row in met))
    cells = [
        element("td", "any norm" if is_any else line.norm),
        element("td", str(len({row.key for row in met})), left_out),
        element("td", budget, class_="number"),
        element("td", _accuracy(line, colour), class_="number"),
        element("td", "" if is_any else distance_in_words(line.median_distance), class_="number"),
    ]
    if beside is not None:
        number = beside.numbers.get(f"{line.norm}:all") if line.system == beside.system else None
        cells.append(printed_cell(number))
    return element("tr", *cells, element("td", knows), class_="any" if is_any else None)


def _accuracy(line: WorstCase, colour: str) -> Html:
    if line.n == 0:
        return element("span", "no result", class_="error")
    return share_with_bar(line.accuracy, line.lower, line.upper, colour)


def _left_out(rows: Sequence[RobustnessRow]) -> Html:
    if not rows:
        return Html()
    names = listed(list(dict.fromkeys(f"{row.attack} ({threat_of(row.threat_model).short})" for row in rows)))
    return element("span", f"without {names}, which failed", class_="error")


def curve_section(table: RobustnessTable, roles: Roles) -> Html:
    """Return a figure for each norm: accuracy against distance."""
    norms = [
        norm for norm in NORMS if any(distance_curve(table, name, norm) is not None for name in roles.order)
    ]
    drawn = [
        figure(
            png_bytes(distance_curves(table, roles, norm)),
            alt=f"Accuracy against {norm} distance, a falling curve for each system.",
            caption=_caption(table, norm),
        )
        for norm in norms
    ]
    return element("div", *drawn, class_="figures") if drawn else Html()


def _caption(table: RobustnessTable, norm: str) -> str:
    """Say how far a curve can be believed."""
    rows = [row for row in table.rows if row.norm == norm and not row.is_error]
    every, looking = {row.key for row in rows}, {row.key for row in rows if minimises(row)}
    words = "Images that no attack makes wrong within the distance; shaded: 95 % intervals. "
    if not looking:
        words += (
            "None of these attacks minimises the distance: each tells what stands at its own budget, and at "
            "any other distance the curve is an upper bound only."
        )
    elif looking < every:
        words += (
            f"Attacks that minimise the distance, and say something at every budget: {len(looking)} of "
            f"{len(every)}. The others tell what stands at their own budget. The curve is an upper bound."
        )
    else:
        words += "All attacks minimise the distance. The curve is an upper bound: better ones lower it."
    if table.provenance.get("cascade"):
        words += (
            " Images that an attack had brought down within its budget were spared by those after it, so "
            "that distances below the budget are too large."
        )
    return words


def _side(heading: str) -> str | None:
    return None if heading in ("norm", "attacks", KNOWS) else "number"
