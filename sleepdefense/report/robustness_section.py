"""The tables of what each network still gets right, and their bars."""

from collections.abc import Sequence

from sleepdefense.evaluation.results import CLEAN, RobustnessTable
from sleepdefense.evaluation.rows import RobustnessRow
from sleepdefense.report.canvas import png_bytes
from sleepdefense.report.doubts import CAVEATS, warnings
from sleepdefense.report.markup import Html, captioned, element, figure, folded, join, missing, table
from sleepdefense.report.record import RunRecord
from sleepdefense.report.robustness_figures import MOST_BARS, accuracy_bars, system_styles
from sleepdefense.report.summary import percent, points
from sleepdefense.report.views import (
    OBLIVIOUS,
    WHITE_BOX,
    AttackView,
    Change,
    Roles,
    attack_views,
    change_between,
    find_roles,
)

THREATS = (
    (
        OBLIVIOUS,
        "Oblivious",
        "The attacker knows the classifier and differentiates through it alone; the defence stands in front "
        "of it unseen. The papers on purifiers call this white-box.",
    ),
    (
        WHITE_BOX,
        "White-box",
        "The attacker knows everything and differentiates through defence and classifier together.",
    ),
)


def robustness_section(record: RunRecord) -> Html:
    """Return bars, table, changes made by sleep and all rows as they were measured."""
    found = record.table
    if found is None:
        return missing("No evaluation yet", record.why_absent("results.h5"))
    views, roles = attack_views(found), find_roles(found)
    doubts = [element("li", words) for words in warnings(found)]
    return join(
        element("p", element("strong", found.title), "."),
        element("dl", *(join(element("dt", name), element("dd", words)) for _, name, words in THREATS)),
        element("ul", *doubts, class_="warning") if doubts else Html(),
        _bars(views, roles),
        _table(views, roles),
        _changes(found, views, roles),
        folded("Worst case over all attacks of a threat model, image by image", _worst(found)),
        folded("How to read these numbers", element("ul", *(element("li", words) for words in CAVEATS))),
        folded("All rows as measured", _all_rows(found)),
    )


def _bars(views: Sequence[AttackView], roles: Roles) -> Html:
    """Draw both threat models side by side, in as many figures as the number of attacks asks for."""
    step = max(1, MOST_BARS // max(len(roles.order), 1))
    drawn = []
    for first in range(0, len(views), step):
        part = views[first : first + step]
        for model, name, _ in THREATS:
            if not any(view.row(system, model) for view in part for system in roles.order):
                continue
            png = png_bytes(accuracy_bars(part, roles, model, title=f"{name} attacks"))
            drawn.append(
                figure(png, alt=f"Bars of the accuracy under {name.lower()} attacks: see the table.")
            )
    return element("div", *drawn, class_="figures")


def _table(views: Sequence[AttackView], roles: Roles) -> Html:
    """Write a table whose rows are the systems, attack by attack."""
    styles = system_styles(roles)
    head = element(
        "tr",
        element("th", "system", scope="col"),
        element("th", "oblivious", scope="col", class_="number"),
        element("th", "white-box", scope="col", class_="number"),
        element("th", "n", scope="col", class_="number"),
    )
    bodies = []
    for view in views:
        lines = [_group(view.title, 4)]
        lines += [_line(view, name, styles[name][0]) for name in roles.order if name in view.cells]
        bodies.append(element("tbody", *lines))
    caption = (
        "Images classified correctly, with the 95 % Wilson interval. What is the same for both threat models "
        "stands in both columns: clean images, corruptions that need no model, and attacks on a network that "
        "has no defence to be oblivious of."
    )
    return captioned(element("table", element("thead", head), *bodies, class_="accuracy"), caption)


def _line(view: AttackView, system: str, colour: str) -> Html:
    name = element("td", element("span", class_="chip ink", style=f"background:{colour}"), system)
    rows = [view.row(system, model) for model in (OBLIVIOUS, WHITE_BOX)]
    cells = [element("td", _cell(row, colour), class_="number") for row in rows]
    return element("tr", name, *cells, _n(rows[1] or rows[0]))


def _n(row: RobustnessRow | None) -> Html:
    return element("td", "" if row is None else str(row.n), class_="number")


def _cell(row: RobustnessRow | None, colour: str) -> Html:
    """Write an accuracy with its interval, a bar below it, and what is wrong with it, if anything is."""
    if row is None:
        return element("small", "not measured")
    if row.is_error:
        return element("span", row.status, class_="error")
    share = f"width:{100 * row.accuracy:.1f}%;background:{colour}"
    return join(
        element("b", percent(row.accuracy)),
        element("small", f" {100 * row.lower:.1f} to {100 * row.upper:.1f}"),
        element("span", element("span", class_="ink", style=share), class_="bar"),
        Html() if row.status == "ok" else element("span", row.status, class_="error"),
    )


def _changes(found: RobustnessTable, views: Sequence[AttackView], roles: Roles) -> Html:
    """Compare every network with the one before sleep, image by image."""
    if roles.before is None or (roles.after is None and not roles.controls):
        return missing("No change to show", "there is only one network to look at")
    others = tuple(name for name in (roles.after, *roles.controls) if name is not None)
    bodies = []
    for view in views:
        models = (OBLIVIOUS, WHITE_BOX) if OBLIVIOUS in view.cells.get(roles.before, {}) else (WHITE_BOX,)
        for model in models:
            changes = [(name, change_between(found, view, roles.before, name, model)) for name in others]
            lines = [_change(name, change) for name, change in changes if change is not None]
            if lines:
                title = f"{view.title} ({model})" if view.needs_model else view.title
                bodies.append(element("tbody", _group(title, 6), *lines))
    if not bodies:
        return missing("No change to show", "no attack has a result for two networks")
    caption = (
        f"What changed against '{roles.before}', with 95 % intervals: images won and lost. Controls show "
        "what a change of the weights of the same size does without sleep."
    )
    titles = ("system", "change", "interval", "won", "lost", "")
    head = element("tr", *(element("th", title, class_=_side(title)) for title in titles))
    return captioned(element("table", element("thead", head), *bodies, class_="changes"), caption)


def _side(title: str) -> str | None:
    return "number" if title in ("change", "interval", "won", "lost") else None


def _group(title: str, columns: int) -> Html:
    """Return the heading of the rows of one attack."""
    return element("tr", element("th", title, colspan=str(columns), scope="rowgroup"), class_="group")


def _change(name: str, change: Change) -> Html:
    numbers = (
        points(change.difference),
        f"{100 * change.lower:+.1f} to {100 * change.upper:+.1f}",
        str(change.gained),
        str(change.lost),
    )
    return element(
        "tr",
        element("td", name),
        *(element("td", number, class_="number") for number in numbers),
        element("td", "within chance" if change.is_within_chance else ""),
    )


def _worst(found: RobustnessTable) -> Html:
    models = dict.fromkeys(row.threat_model for row in found.rows if row.attack != CLEAN)
    rows = []
    for model in models:
        for line in found.worst_case(model):
            left_out = f"; without {', '.join(line.left_out)}, which failed" if line.left_out else ""
            rows.append(
                (
                    line.system,
                    model,
                    line.norm,
                    percent(line.accuracy),
                    f"{100 * line.lower:.1f} to {100 * line.upper:.1f}",
                    ", ".join(line.attacks) + left_out,
                )
            )
    return table(
        ("system", "threat model", "norm", "accuracy", "interval", "attacks"),
        rows,
        numbers=(3, 4),
        caption="An image counts only if it is right without an attack and after each one.",
    )


def _all_rows(found: RobustnessTable) -> Html:
    rows = [
        (
            row.system,
            row.attack,
            row.spec,
            row.threat_model,
            row.norm,
            f"{row.correct} / {row.n}",
            "" if row.key == CLEAN else f"{row.median_distance:.4g}",
            row.status,
        )
        for row in found.rows
    ]
    return table(
        ("system", "attack", "specification", "threat model", "norm", "correct", "median distance", "status"),
        rows,
        numbers=(5, 6),
        caption="Median distance: how far the median image had to be moved, in the attack's norm; 'inf' "
        "where the attack failed on more than half of them.",
    )
