"""The five steps of a run, each with the number that says most about it."""

import math
from dataclasses import dataclass

from sleepdefense.evaluation.results import CLEAN
from sleepdefense.report.markup import Html, element
from sleepdefense.report.record import RunRecord
from sleepdefense.report.roles import find_roles
from sleepdefense.report.threats import WHITE_BOX
from sleepdefense.report.views import attack_views
from sleepdefense.report.words import percent


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of the pipeline.

    Attributes:
        name: What is done.
        value: The number that says most about it; empty if the step has not been done.
        meaning: What the number is.
    """

    name: str
    value: str
    meaning: str


def steps(record: RunRecord) -> tuple[Step, ...]:
    """Return the steps of the pipeline, done or not."""
    return (_train(record), _convert(record), _sleep(record), _reconvert(record), _evaluate(record))


def _train(record: RunRecord) -> Step:
    meaning = "not done yet"
    if record.table is not None:
        views, roles = attack_views(record.table), find_roles(record.table)
        system = roles.before or roles.undefended
        row = views[0].row(system, WHITE_BOX) if views and views[0].key == CLEAN else None
        if row is not None and not row.is_error:
            what = (
                "right without an attack, with the defence" if roles.undefended else "right without an attack"
            )
            return Step(name="train", value=percent(row.accuracy), meaning=what)
    if record.trainings and record.trainings[-1].losses:
        last = record.trainings[-1]
        return Step(
            name="train", value=f"{last.losses[-1]:.4g}", meaning=f"loss after {len(last.losses)} epochs"
        )
    return Step(name="train", value="", meaning=meaning)


def _convert(record: RunRecord) -> Step:
    report = record.conversion
    known = [] if report is None else [layer for layer in report.layers if layer.rate is not None]
    if report is None or not known or not report.num_steps:
        return Step(name="convert", value="", meaning="not compared yet")
    longest = max(report.num_steps)
    worst = min((layer.correlation.get(longest, math.nan) for layer in known), default=math.nan)
    return Step(name="convert", value=f"r = {worst:.4f}", meaning=f"worst firing layer after {longest} steps")


def _sleep(record: RunRecord) -> Step:
    naps = [nap for nap in record.naps if nap.rows]
    if not naps:
        return Step(name="sleep", value="", meaning="no sleep yet")
    largest = max((change for nap in naps for change in nap.doses.values()), default=math.nan)
    images = sum(nap.num_images for nap in naps)
    return Step(name="sleep", value=f"{largest:.3f}", meaning=f"largest |dW| / |W|, {images} images")


def _reconvert(record: RunRecord) -> Step:
    if not record.weights:
        return Step(name="reconvert", value="", meaning="not awake again yet")
    changed = sum(layer.relative > 0 for layer in record.weights)
    return Step(
        name="reconvert", value=f"{changed} of {len(record.weights)}", meaning="layers changed by sleep"
    )


def _evaluate(record: RunRecord) -> Step:
    if record.table is None:
        return Step(name="evaluate", value="", meaning="not attacked yet")
    attacks = len({row.key for row in record.table.rows} - {CLEAN})
    return Step(
        name="evaluate",
        value=f"{attacks} attacks",
        meaning=f"on {len(record.table.labels)} images, {len(record.table.rows)} rows",
    )


def overview_section(record: RunRecord) -> Html:
    """Return the strip of steps."""
    items = [
        element(
            "li",
            element("span", step.name, class_="step"),
            element("b", step.value or "\N{EM DASH}"),
            element("small", step.meaning),
            class_=None if step.value else "todo",
        )
        for step in steps(record)
    ]
    return element("ol", *items, class_="steps")
