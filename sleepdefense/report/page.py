"""One HTML page that needs nothing but itself."""

from collections.abc import Callable
from pathlib import Path

from sleepdefense.checkpoint import write_text_atomic
from sleepdefense.evaluation.results import RobustnessTable
from sleepdefense.report.conversion_section import conversion_section, raster_section
from sleepdefense.report.findings import is_alarming
from sleepdefense.report.images_section import images_section
from sleepdefense.report.markup import Html, element, folded, join, missing
from sleepdefense.report.overview import overview_section
from sleepdefense.report.provenance_section import provenance_section
from sleepdefense.report.record import RunRecord
from sleepdefense.report.robustness_section import robustness_section
from sleepdefense.report.sleep_section import diary_section, training_section, weight_section
from sleepdefense.report.style import SCRIPT, STYLE
from sleepdefense.report.summary import summary_paragraphs

SECTIONS: tuple[tuple[str, str, Callable[[RunRecord], Html]], ...] = (
    ("pipeline", "The run at a glance", overview_section),
    ("robustness", "Robustness", robustness_section),
    ("images", "Images", images_section),
    ("conversion", "Conversion", conversion_section),
    ("rasters", "Spikes", raster_section),
    ("weights", "Weights before and after sleep", weight_section),
    ("diary", "Diary of the sleep", diary_section),
    ("training", "Training", training_section),
    ("provenance", "Provenance", provenance_section),
)
"""Anchor, heading, and what makes the section."""
OF_AN_EVALUATION = ("robustness", "images", "provenance")
"""Sections of a page on an evaluation alone."""


def render_page(record: RunRecord) -> str:
    """Return the page of a run as HTML. Equal records give equal pages.

    Args:
        record: The run, as far as it went; a part that is missing is named on the page, with the reason.
    """
    title = f"sleepdefense: {record.name}"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        Html(f"<style>{STYLE}</style>"),
    )
    shown = [part for part in SECTIONS if not record.is_evaluation or part[0] in OF_AN_EVALUATION]
    links = [element("li", element("a", heading, href=f"#{anchor}")) for anchor, heading, _ in shown]
    sections = [
        element("section", element("h2", heading), make(record), id=anchor) for anchor, heading, make in shown
    ]
    body = element(
        "body",
        element("nav", element("ul", *links), aria_label="Contents"),
        element("main", _header(record), *sections),
        Html(f"<script>{SCRIPT}</script>"),
    )
    return "<!DOCTYPE html>\n" + element("html", head, body, lang="en") + "\n"


def write_page(record: RunRecord, path: Path) -> None:
    """Write the page of a run; it is either complete or not there.

    Raises:
        CheckpointError: The file cannot be written.
    """
    write_text_atomic(path, render_page(record))


def _header(record: RunRecord) -> Html:
    """Return the title and what was found, in words made from the numbers."""
    found = (
        missing("No summary yet", "nothing was evaluated") if record.table is None else _summary(record.table)
    )
    absent = [element("li", element("code", name), f": {why}") for name, why in record.absent.items()]
    gaps = (
        folded(f"{len(absent)} parts of this run are missing", element("ul", *absent)) if absent else Html()
    )
    return element(
        "header", element("p", "sleepdefense", class_="brand"), element("h1", record.name), found, gaps
    )


def _summary(table: RobustnessTable) -> Html:
    """Return what was found; failed checks come first, and stand out."""
    first, *rest = summary_paragraphs(table)
    alarm = " alarm" if is_alarming(table) else ""
    return join(
        element("p", first, class_=f"summary{alarm}"),
        *(element("p", words, class_="summary") for words in rest),
    )
