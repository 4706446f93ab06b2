"""What sleep did to the weights, how it went, and how the networks were trained."""

import math

import numpy as np

from sleepdefense.consolidation.diary import SleepDiary
from sleepdefense.report.canvas import png_bytes
from sleepdefense.report.conversion_section import number
from sleepdefense.report.markup import Html, element, figure, join, missing, table
from sleepdefense.report.record import RunRecord, WeightChange
from sleepdefense.report.sleep_figures import (
    QUANTITIES,
    diary_curve,
    guard_curve,
    loss_curve,
    measure_curve,
    weight_histogram,
)

UNCHANGED = 1e-12


def weight_section(record: RunRecord) -> Html:
    """Return a table of all layers and histograms of those that changed."""
    if not record.weights:
        return missing("No weights after sleep", record.why_absent("slept.h5"))
    changed = [layer for layer in record.weights if layer.relative > UNCHANGED]
    rows = [_facts(layer) for layer in record.weights]
    drawn = [
        figure(png_bytes(weight_histogram(layer)), alt=f"Weights of {layer.name} before and after sleep.")
        for layer in changed
    ]
    words = (
        f"{len(changed)} of {len(rows)} layers changed. Weights as they act in the spiking network, where "
        "the threshold is 1."
    )
    return join(
        element("p", words),
        element("div", *drawn, class_="figures"),
        table(
            ("layer", "weights", "|W - W0| / |W0|", "signs flipped", "width before", "width after"),
            rows,
            numbers=(1, 2, 3, 4, 5),
            caption="Width: standard deviation. The change is what was kept, after any guard.",
        ),
    )


def _facts(layer: WeightChange) -> tuple[str, ...]:
    return (
        layer.name,
        str(layer.before.size),
        f"{layer.relative:.4f}" if layer.relative > UNCHANGED else "unchanged",
        f"{100 * layer.flipped:.2f} %",
        number(_width(layer.before), 4),
        number(_width(layer.after), 4),
    )


def _width(weight: np.ndarray) -> float:
    return float(np.std(weight.astype(np.float64))) if weight.size else math.nan


def diary_section(record: RunRecord) -> Html:
    """Return the curves of the diary, the facts of each layer and of the guard."""
    naps = [nap for nap in record.naps if nap.stages]
    if not naps:
        return missing("No sleep", _why_no_sleep(record))
    drawn = [
        figure(
            png_bytes(diary_curve(naps, quantity, dose=record.dose)),
            alt=f"{title} along the sleep, by layer.",
        )
        for quantity, title, _ in QUANTITIES
    ]
    for measure in dict.fromkeys(name for nap in naps for name in nap.measures):
        drawn.append(figure(png_bytes(measure_curve(naps, measure)), alt=f"{measure} along the sleep."))
    verdicts = [nap.verdict for nap in naps if nap.verdict is not None and len(nap.verdict.factors) > 1]
    drawn += [
        figure(png_bytes(guard_curve(verdict)), alt="Score of each part of the sleep that the guard tried.")
        for verdict in verdicts
    ]
    notes = [element("li", note) for note in dict.fromkeys(note for nap in naps for note in nap.notes)]
    return join(
        element("p", _in_words(record, naps)),
        element("ul", *notes) if notes else Html(),
        element("div", *drawn, class_="figures"),
        *(_nap(nap, place, len(naps), record.dose) for place, nap in enumerate(naps)),
    )


def _why_no_sleep(record: RunRecord) -> str:
    settings = (record.config or {}).get("sleep", {})
    if isinstance(settings, dict) and settings.get("settings", {}).get("rho") == 0:
        return "the settings ask for a dose of 0"
    return record.why_absent("sleep.h5")


def _in_words(record: RunRecord, naps: list[SleepDiary]) -> str:
    images = sum(nap.num_images for nap in naps)
    slept = f"{images} images in {len(naps)} naps" if len(naps) > 1 else f"{images} images"
    words = [f"The network slept on {slept}."]
    last = naps[-1]
    if record.dose is not None:
        words.append(f"{len(last.reached)} of {len(last.stages)} layers reached the dose of {record.dose:g}.")
    verdict = last.verdict
    if verdict is None:
        words.append("The diary holds no verdict of a guard.")
    elif verdict.factor == 1.0:
        words.append(
            f"The guard let the whole sleep pass (score {verdict.before:.4g} before, {verdict.scores[0]:.4g} "
            "after)."
        )
    elif verdict.factor > 0.0:
        words.append(
            f"The guard cut it back: {100 * verdict.factor:.0f} % of the way was kept (score "
            f"{verdict.before:.4g} before, {verdict.scores[-1]:.4g} for what was kept)."
        )
    else:
        words.append(
            "The guard let nothing of it pass: the network did not change (score before: "
            f"{verdict.before:.4g})."
        )
    return " ".join(words)


def _nap(nap: SleepDiary, place: int, count: int, dose: float | None) -> Html:
    final = nap.rows[-1] if nap.rows else None
    rows = []
    for position, stage in enumerate(nap.stages):
        winners = int(nap.column("winners")[:, position].sum()) if nap.rows else 0
        reached = "yes" if stage in nap.reached else "no"
        rows.append(
            (
                stage,
                nap.twins.get(stage, ""),
                number(nap.strengths.get(stage), 4),
                number(nap.thresholds.get(stage), 4) or "1",
                f"{nap.doses.get(stage, math.nan):.4f}",
                "" if dose is None else reached,
                str(winners),
                "" if final is None else number(float(final.rate[position]), 3),
                "" if final is None else number(float(final.kurtosis[position]), 3),
            )
        )
    head = (
        "layer",
        "mirror twin",
        "strength",
        "threshold",
        "change",
        "dose reached",
        "winners",
        "last rate",
        "last kurtosis",
    )
    which = f"Nap {place + 1} of {count}" if count > 1 else "The sleep"
    caption = f"{which}: each layer that slept. Change: |W - W0| / |W0| before any guard."
    return table(head, rows, numbers=(2, 3, 4, 6, 7, 8), caption=caption)


def training_section(record: RunRecord) -> Html:
    """Return the loss curve of each training."""
    if not record.trainings:
        return missing("No training losses", record.why_absent("classifier.training.h5", "awake.training.h5"))
    drawn = [
        figure(png_bytes(loss_curve(training)), alt=f"Loss of {training.name}, epoch by epoch.")
        for training in record.trainings
    ]
    words = "Mean loss of an image in each epoch, on the training data, while the weights were changing."
    return join(element("p", words), element("div", *drawn, class_="figures"))
