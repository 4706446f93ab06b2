"""Accuracies attack by attack: tables for each norm, a column for each threat model or system."""

import re
from collections.abc import Sequence

from sleepdefense.report.attack_cells import accuracy_cell, printed_cell, printed_for
from sleepdefense.report.markup import Html, captioned, element, folded, join
from sleepdefense.report.record import Printed
from sleepdefense.report.robustness_figures import system_styles
from sleepdefense.report.roles import Roles
from sleepdefense.report.threats import NO_MODEL, in_order, threat_of
from sleepdefense.report.views import AttackView, by_norm, minimises
from sleepdefense.report.words import budgets_in_words, counted

OPEN_LINES = 60
"""Tables of more lines open at a click."""
MOST_SYSTEMS = 5
"""More do not stand side by side."""


def attack_tables(views: Sequence[AttackView], roles: Roles, printed: Printed | None) -> Html:
    """Return tables for each norm, and one for what is no attack."""
    return join(*(_norm(norm, group, roles, printed) for norm, group in by_norm(views).items()))


def _norm(norm: str, views: Sequence[AttackView], roles: Roles, printed: Printed | None) -> Html:
    """Return the tables of one norm: attacks that follow gradients, and the others."""
    following = [view for view in views if view.follows_gradient]
    others = [view for view in views if not view.follows_gradient]
    columns = in_order(model for view in following for model in view.models())
    tables, lines = [], 0
    for group, models in ((following, columns), (others, ())):
        if not group:
            continue
        by_system = len(models) < 2 and 1 < len(roles.order) <= MOST_SYSTEMS
        make = _systems_across if by_system else _models_across
        tables.append(captioned(make(group, models, roles, printed), _caption(group, models)))
        lines += len(group) * (1 if by_system else len(roles.order))
    return folded(_heading(norm, views), *tables, is_open=lines <= OPEN_LINES)


def _models_across(
    views: Sequence[AttackView], models: Sequence[str], roles: Roles, printed: Printed | None
) -> Html:
    """Return a table with a column for each threat model: lines are attacks, or systems under each attack."""
    is_alone = len(roles.order) == 1
    beside = _beside(views, printed)
    titles = [threat_of(model).short for model in models] or ["accuracy"]
    titles += [f"printed in {beside.paper}"] if beside is not None else []
    styles, bodies = system_styles(roles), []
    for view in views:
        rows = []
        for name in (name for name in roles.order if name in view.cells):
            first = _attack(view) if is_alone else _system(name, styles[name][0])
            cells = [
                element("td", accuracy_cell(view, name, model, styles[name][0]), class_="number")
                for model in (models or _only_model(view))
            ]
            if beside is not None:
                cells.append(printed_cell(printed_for(view, beside) if name == beside.system else None))
            rows.append(element("tr", element("td", first), *cells))
        heading = element("th", _attack(view), colspan=str(1 + len(titles)), scope="rowgroup")
        group = () if is_alone else (element("tr", heading, class_="group"),)
        bodies.append(element("tbody", *group, *rows))
    return _whole(_first(views) if is_alone else "system", [Html(title) for title in titles], bodies)


def _systems_across(
    views: Sequence[AttackView], models: Sequence[str], roles: Roles, printed: Printed | None
) -> Html:
    """Return a table with a column for each system: lines are attacks, each in its only threat model."""
    beside = _beside(views, printed)
    styles = system_styles(roles)
    titles = [_system(name, styles[name][0]) for name in roles.order]
    titles += [join(f"printed in {beside.paper} beside '{beside.system}'")] if beside is not None else []
    rows = []
    for view in views:
        cells = [
            element("td", accuracy_cell(view, name, model, styles[name][0]), class_="number")
            for name in roles.order
            for model in (models or _only_model(view))
        ]
        if beside is not None:
            cells.append(printed_cell(printed_for(view, beside)))
        rows.append(element("tr", element("td", _attack(view)), *cells))
    return _whole(_first(views), titles, [element("tbody", *rows)])


def _first(views: Sequence[AttackView]) -> str:
    return "attack" if views[0].is_attack else "images"


def _whole(first: str, titles: Sequence[Html], bodies: Sequence[Html]) -> Html:
    heads = [element("th", title, scope="col", class_="number") for title in titles]
    head = element("tr", element("th", first, scope="col"), *heads)
    return element("table", element("thead", head), *bodies, class_="accuracy")


def _only_model(view: AttackView) -> tuple[str, ...]:
    """Return the threat model of an attack that has one only."""
    return view.models()[:1] or (NO_MODEL,)


def _system(name: str, colour: str) -> Html:
    return join(element("span", class_="chip ink", style=f"background:{colour}"), name)


def _attack(view: AttackView) -> Html:
    """Return the name of an attack, which may be broken at its capitals, and what an odd one is."""
    parts = re.split(r"(?<=[a-z])(?=[A-Z])", view.name)
    name = join(*(join(element("wbr"), part) if place else part for place, part in enumerate(parts)))
    if view.follows_gradient or not view.is_attack:
        return name
    return join(name, element("small", threat_of(_only_model(view)[0]).short, class_="kind"))


def _beside(views: Sequence[AttackView], printed: Printed | None) -> Printed | None:
    """Return the printed numbers if there is one for some of the attacks."""
    known = printed is not None and any(printed_for(view, printed) is not None for view in views)
    return printed if known else None


def _heading(norm: str, views: Sequence[AttackView]) -> str:
    """Return the heading of the tables of a norm."""
    if norm == "none":
        corruptions = sum(1 for view in views if view.spec)
        return "Clean images" + (f" and {counted(corruptions, 'corruption')}" if corruptions else "")
    epsilons = [row.epsilon for view in views for cells in view.cells.values() for row in cells.values()]
    budget = "no budget" if not any(epsilons) else f"budget {budgets_in_words(epsilons)}"
    return f"{norm}: {counted(len(views), 'attack')}, {budget}"


def _caption(views: Sequence[AttackView], models: Sequence[str]) -> str:
    """Say what a table shows."""
    if not views[0].is_attack:
        words = "Images classified correctly, with the 95 % Wilson interval."
        if any(view.spec for view in views):
            words += " Nobody attacks here: a corruption does not look at the network, and has no budget."
        return words
    words = "Attacks that follow gradients" if models else "Attacks without gradients"
    words += f"{f', {threat_of(models[0]).short}' if len(models) == 1 else ''}: images classified correctly."
    rows = [row for view in views for cells in view.cells.values() for row in cells.values()]
    if any(minimises(row) for row in rows):
        words += " Median: distance to misclassification, for attacks that look for the nearest wrong image."
    is_shared = "oblivious" in models and any(
        "oblivious" not in cells and "white-box" in cells for view in views for cells in view.cells.values()
    )
    if is_shared:
        words += " Where there is no defence to be oblivious of, oblivious and white-box are one."
    return words
