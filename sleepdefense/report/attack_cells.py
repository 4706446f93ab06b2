"""What stands in one cell of a table of attacks."""

from sleepdefense.evaluation.rows import RobustnessRow
from sleepdefense.report.markup import Html, element, join
from sleepdefense.report.record import Printed, PrintedNumber
from sleepdefense.report.views import AttackView, distance_in_words, known_attack, minimises
from sleepdefense.report.words import interval, percent


def accuracy_cell(view: AttackView, system: str, model: str, colour: str) -> Html:
    """Return an accuracy with its interval, a bar below it, and what is wrong with it, if anything is."""
    row = view.row(system, model)
    if row is None:
        return element("small", "not measured")
    if row.is_error:
        return element("span", row.status, class_="error")
    return join(
        share_with_bar(row.accuracy, row.lower, row.upper, colour),
        _median(row),
        Html() if row.status == "ok" else element("span", row.status, class_="error"),
    )


def share_with_bar(accuracy: float, lower: float, upper: float, colour: str) -> Html:
    """Return an accuracy with its interval and a bar below it."""
    width = f"width:{100 * accuracy:.1f}%;background:{colour}"
    return join(
        element("b", percent(accuracy)),
        element("small", f" {interval(lower, upper)}"),
        element("span", element("span", class_="ink", style=width), class_="bar"),
    )


def _median(row: RobustnessRow) -> Html:
    """Return the median distance of an attack that minimises it."""
    if not minimises(row):
        return Html()
    return element("small", f"median {distance_in_words(row.median_distance)}", class_="median")


def printed_for(view: AttackView, printed: Printed) -> PrintedNumber | None:
    """Return what a paper prints for an attack."""
    spec = known_attack(view.spec) if view.spec else None
    return None if spec is None else printed.numbers.get(f"{spec.norm}:{spec.name}")


def printed_cell(number: PrintedNumber | None) -> Html:
    """Return the cell of a printed number."""
    if number is None:
        return element("td", "", class_="number")
    median = f"median {number.median}" if number.median else ""
    words = [element("small", each, class_="median") for each in (number.verdict, median) if each]
    return element("td", number.text, *words, class_="number")
