"""What each network still gets right: first what matters most, at the end every number."""

from collections.abc import Sequence

from sleepdefense.evaluation.render import WINNER_HEADINGS, winner_cells
from sleepdefense.evaluation.results import CLEAN, WINNERS, RobustnessTable
from sleepdefense.report.attack_tables import attack_tables
from sleepdefense.report.canvas import png_bytes
from sleepdefense.report.changes_section import changes_section
from sleepdefense.report.checks_section import checks_section
from sleepdefense.report.doubts import CAVEAT_OF_SLEEP, CAVEATS, warnings
from sleepdefense.report.markup import Html, element, figure, folded, join, missing, table
from sleepdefense.report.record import RunRecord
from sleepdefense.report.robustness_figures import MOST_BARS, accuracy_bars, shown_in
from sleepdefense.report.roles import Roles, find_roles
from sleepdefense.report.threats import NO_MODEL, in_order, threat_of
from sleepdefense.report.views import AttackView, attack_views
from sleepdefense.report.words import interval, percent
from sleepdefense.report.worst_section import curve_section, worst_section

MOST_ATTACKS = 12
"""More have no bars of their own: the table has a bar in every cell."""


def robustness_section(record: RunRecord) -> Html:
    """Return worst cases, checks, curves, tables, changes made by sleep, and all rows as measured."""
    found = record.table
    if found is None:
        return missing("No evaluation yet", record.why_absent("results.h5"))
    views, roles = attack_views(found), find_roles(found)
    doubts = [element("li", words) for words in warnings(found)]
    caveats = [*CAVEATS, *([CAVEAT_OF_SLEEP] if roles.after is not None else [])]
    several = len(roles.order) > 1
    return join(
        element("p", element("strong", found.title), "."),
        worst_section(found, roles, record.printed),
        element("h3", "Checks and doubts"),
        checks_section(found),
        element("ul", *doubts, class_="warning") if doubts else Html(),
        element("h3", "Accuracy against distance"),
        curve_section(found, roles),
        element("h3", "Attack by attack"),
        _threats(found),
        attack_tables(views, roles, record.printed),
        _bars(views, roles),
        element("h3", "Changes made by sleep" if roles.after is not None else "Differences")
        if several
        else Html(),
        changes_section(found, views, roles) if several else Html(),
        element("h3", "All numbers"),
        folded("Worst case over all attacks of a threat model, image by image", _worst(found)),
        folded("How to read these numbers", element("ul", *(element("li", words) for words in caveats))),
        _winners(found),
        _costs(found),
        folded("All rows as measured", _all_rows(found)),
    )


def _threats(found: RobustnessTable) -> Html:
    """Explain the threat models that occur."""
    models = in_order(row.threat_model for row in found.rows if row.norm != "none")
    words = [
        join(element("dt", threat_of(model).short.capitalize()), element("dd", threat_of(model).meaning))
        for model in models
    ]
    return element("dl", *words) if words else Html()


def _bars(views: Sequence[AttackView], roles: Roles) -> Html:
    """Draw the threat models side by side, in as many figures as the number of systems asks for."""
    if len(views) > MOST_ATTACKS or len(roles.order) < 2:
        return Html()
    drawn = []
    for model in in_order(each for view in views for each in view.models()) or (NO_MODEL,):
        shown = shown_in(views, roles, model)
        step = max(1, MOST_BARS // max(len(roles.order), 1))
        is_attack = any(view.is_attack for view in shown)
        name = f"{threat_of(model).short.capitalize()} attacks" if is_attack else "No attack"
        for first in range(0, len(shown), step):
            png = png_bytes(accuracy_bars(shown[first : first + step], roles, model, title=name))
            drawn.append(figure(png, alt=f"Bars of the accuracy, {name.lower()}: see the table."))
    return element("div", *drawn, class_="figures")


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
                    interval(line.lower, line.upper),
                    ", ".join(line.attacks) + left_out,
                )
            )
    return table(
        ("system", "threat model", "norm", "accuracy", "interval", "attacks"),
        rows,
        numbers=(3, 4),
        caption="An image counts only if it is right without an attack and after each one.",
    )


def _winners(found: RobustnessTable) -> Html:
    """Say which stand-in brought the images of a row down, where an attack went through several."""
    rows = [winner_cells(row) for row in found.rows if row.winners]
    if not rows:
        return Html()
    made = table(WINNER_HEADINGS, rows, numbers=(3,), caption=f"{WINNERS}.")
    return folded("Which stand-in brought images down", made)


def _costs(found: RobustnessTable) -> Html:
    """Say how often each attack asked a network, where that was counted."""
    labels = {row.key: row.attack for row in found.rows}
    rows = []
    for cost in found.provenance.get("costs", ()):
        images = int(cost["num_attacked"])
        each = [f"{cost[name] / images:.4g}" if images else "" for name in ("forward", "backward")]
        if cost["attack"] != CLEAN:
            key = str(cost["attack"]).rpartition(".")[0]
            label = labels.get(str(cost["attack"]), labels.get(key, str(cost["attack"])))
            rows.append((label, "; ".join(map(str, cost["rows"])), str(images), *each))
    if not rows:
        return Html()
    caption = "Images shown to the attacked network, and gradients taken, for each image attacked."
    titles = ("attack", "fills the rows of", "images attacked", "forward", "backward")
    return folded("What each attack cost", table(titles, rows, numbers=(2, 3, 4), caption=caption))


def _all_rows(found: RobustnessTable) -> Html:
    rows = [
        (
            row.system,
            row.attack,
            row.spec,
            row.threat_model,
            row.norm,
            f"{row.correct} / {row.n}",
            str(row.num_attacked),
            "" if row.key == CLEAN else f"{row.median_distance:.4g}",
            row.status,
        )
        for row in found.rows
    ]
    titles = (
        "system",
        "attack",
        "specification",
        "threat model",
        "norm",
        "correct",
        "attacked",
        "median distance",
    )
    return table(
        (*titles, "status"),
        rows,
        numbers=(5, 6, 7),
        caption="Attacked: images that were right before, and not down already. Median distance: how far "
        "the median image had to be moved, in the attack's norm (corruptions: L2); 'inf' where the attack "
        "failed on more than half of them.",
    )
