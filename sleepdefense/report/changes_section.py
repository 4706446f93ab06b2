"""What sleep changed, attack by attack, beside what its controls changed."""

from collections.abc import Sequence

from sleepdefense.evaluation.results import RobustnessTable
from sleepdefense.evaluation.views import NORMS
from sleepdefense.report.changes import Change, change_between, worst_change
from sleepdefense.report.markup import Html, captioned, element, folded, missing
from sleepdefense.report.roles import Roles
from sleepdefense.report.threats import NO_MODEL, threat_of
from sleepdefense.report.views import AttackView
from sleepdefense.report.words import counted, points

OPEN_ATTACKS = 12
"""Changes under more attacks open at a click."""

Named = tuple[str, Change | None]


def changes_section(table: RobustnessTable, views: Sequence[AttackView], roles: Roles) -> Html:
    """Compare every network with the one before sleep (without sleep: with the first), image by image."""
    others = tuple(name for name in (roles.after, *roles.controls) if name is not None)
    if roles.before is None or not others:
        return missing("No change to show", "there is only one network to look at")
    before = roles.before
    bodies = []
    for norm in NORMS:
        worst: list[Named] = [(name, worst_change(table, norm, before, name)) for name in others]
        bodies.append(_body(f"All {norm} attacks together", worst))
    for view in views:
        for model in view.models(before) or (NO_MODEL,):
            found = [(name, change_between(table, view, before, name, model)) for name in others]
            knows = f" ({threat_of(model).short})" if view.is_attack else ""
            bodies.append(_body(f"{view.title}{knows}", found))
    shown = [body for body in bodies if body]
    if not shown:
        return missing("No change to show", "no attack has a result for two networks")
    caption = f"What changed against '{before}', with 95 % intervals: images won and lost."
    if roles.after is not None:
        caption += " Controls show what a change of the weights of the same size does without sleep."
    titles = ("system", "change", "interval", "won", "lost", "")
    head = element("tr", *(element("th", title, class_=_side(title)) for title in titles))
    whole = captioned(element("table", element("thead", head), *shown, class_="changes"), caption)
    if len(views) <= OPEN_ATTACKS:
        return whole
    return folded(f"What changed against '{before}', under {counted(len(views) - 1, 'attack')}", whole)


def _body(title: str, changes: Sequence[Named]) -> Html:
    """Return the lines of one attack; nothing where no two networks have a result."""
    lines = [_change(name, change) for name, change in changes if change is not None]
    if not lines:
        return Html()
    heading = element("tr", element("th", title, colspan="6", scope="rowgroup"), class_="group")
    return element("tbody", heading, *lines)


def _side(title: str) -> str | None:
    return "number" if title in ("change", "interval", "won", "lost") else None


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
