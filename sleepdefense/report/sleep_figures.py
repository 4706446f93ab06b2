"""What sleep did to the weights, and how it went."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy import ndarray

from sleepdefense.consolidation.diary import SleepDiary
from sleepdefense.consolidation.guard import Verdict
from sleepdefense.report.canvas import (
    BLUE,
    MARKERS,
    SOFT,
    VERMILION,
    depth_colours,
    in_our_look,
    legend_below,
    new_figure,
    say_empty,
    shorten,
)
from sleepdefense.report.record import Training, WeightChange

QUANTITIES: tuple[tuple[str, str, str], ...] = (
    ("change", "Way from where it began", "|W - W0| / |W0|"),
    ("rate", "Firing rate", "spikes a neuron and step"),
    ("winners", "Winners", "neurons that learned, a batch"),
    ("ltp_share", "Share of potentiation", "potentiations / all pairings"),
    ("sign_flips", "Signs that flipped", "share of the weights"),
    ("std", "Width of the weights", "relative to the first batch"),
)
"""Column of the diary, title, label of its axis."""


@in_our_look
def weight_histogram(layer: WeightChange) -> Figure:
    """Draw the distribution of a layer's weights before and after sleep, counts on a logarithmic axis."""
    drawing, (axes,) = new_figure(height=2.3)
    axes.set_title(shorten(layer.name, 34))
    before, after = (_finite(values) for values in (layer.before, layer.after))
    both = np.concatenate([before, after])
    if not both.size:
        say_empty(axes, "no finite weights")
        return drawing
    low, high = float(both.min()), float(both.max())
    margin = 0.02 * (high - low) or max(abs(high), 1.0) * 0.1
    edges = np.linspace(low - margin, high + margin, 61).tolist()
    counts = [np.histogram(values, edges)[0] for values in (before, after)]
    axes.stairs(counts[0], edges, fill=True, color=BLUE, alpha=0.35, label="before sleep", baseline=0.5)
    axes.stairs(counts[1], edges, color=VERMILION, linewidth=1.5, label="after sleep", baseline=0.5)
    axes.set_ylim(bottom=0.5)
    axes.set_yscale("log")
    axes.set_xlabel("weight, in units of the threshold")
    axes.set_ylabel("weights in a bin")
    axes.legend(loc="upper right")
    return drawing


@in_our_look
def diary_curve(naps: Sequence[SleepDiary], quantity: str, *, dose: float | None = None) -> Figure:
    """Draw one column of the diary against the images slept, a line for each layer; naps follow each other.

    Args:
        naps: At least one diary.
        quantity: A column, one of `QUANTITIES`.
        dose: Drawn as a line over "change".
    """
    title, label = next((words[1:] for words in QUANTITIES if words[0] == quantity), (quantity, quantity))
    drawing, (axes,) = new_figure(height=2.6 + 0.1 * len(naps[0].stages))
    axes.set_title(title)
    stages = naps[0].stages
    drawn = False
    for place, (stage, colour) in enumerate(zip(stages, depth_colours(len(stages)), strict=True)):
        x, y = stage_curve(naps, stage, quantity)
        if quantity == "std":
            y = y / y[0] if y.size and y[0] else y
        if np.isfinite(y).any():
            drawn = True
            axes.plot(
                x, y, color=colour, label=shorten(stage, 17), marker=MARKERS[place % len(MARKERS)],
                markevery=max(len(x) // 8, 1),
            )  # fmt: skip
    if not drawn:
        say_empty(axes, "no batch was slept")
        return drawing
    if quantity == "change" and dose is not None:
        axes.axhline(dose, color=SOFT, ls="--", lw=1.2, label=f"dose {dose:g}")
    if quantity in ("change", "rate", "winners", "ltp_share", "sign_flips"):
        axes.set_ylim(bottom=0)
    _mark_naps(axes, naps)
    axes.set_xlabel("images slept")
    axes.set_ylabel(label)
    legend_below(drawing, axes, columns=3)
    return drawing


def stage_curve(
    naps: Sequence[SleepDiary], stage: str, quantity: str
) -> tuple[Float[ndarray, " batch"], Float[ndarray, " batch"]]:
    """Return images slept, over all naps, and the values of one stage; NaN parts one nap from the next."""
    x: list[float] = []
    y: list[float] = []
    start = 0
    for nap in naps:
        if stage in nap.stages and nap.rows:
            place = nap.stages.index(stage)
            x += [start + row.images for row in nap.rows] + [start + nap.num_images]
            y += [float(value) for value in nap.column(quantity)[:, place]] + [float("nan")]
        start += nap.num_images
    return np.array(x, dtype=np.float64), np.array(y, dtype=np.float64)


@in_our_look
def measure_curve(naps: Sequence[SleepDiary], measure: str) -> Figure:
    """Draw one measure, such as the ELBO, along the sleep."""
    drawing, (axes,) = new_figure(height=2.6)
    axes.set_title(shorten(measure, 40))
    start, drawn = 0, False
    for nap in naps:
        if measure in nap.measures:
            place = nap.measures.index(measure)
            x = [start + each.images for each in nap.measured]
            y = [each.values[place] for each in nap.measured]
            drawn = drawn or bool(np.isfinite(y).any())
            axes.plot(x, y, color=BLUE, marker="o")
        start += nap.num_images
    if not drawn:
        say_empty(axes, "it was never finite")
        return drawing
    _mark_naps(axes, naps)
    axes.set_xlabel("images slept")
    axes.set_ylabel(shorten(measure, 30))
    return drawing


@in_our_look
def guard_curve(verdict: Verdict) -> Figure:
    """Draw the score of the awake network for each part of the sleep that the guard tried."""
    drawing, (axes,) = new_figure(height=2.6)
    axes.set_title("What the guard tried")
    axes.axhline(verdict.before, color=SOFT, ls="--", lw=1.2, label="before sleep")
    if verdict.factors:
        axes.plot(verdict.factors, verdict.scores, color=BLUE, marker="o", label="tried")
    axes.axvline(verdict.factor, color=VERMILION, lw=1.2, label=f"kept: {verdict.factor:g}")
    axes.set_xlim(-0.03, 1.03)
    axes.set_xlabel("part of the sleep that is kept")
    axes.set_ylabel("score on held-out images")
    legend_below(drawing, axes)
    return drawing


@in_our_look
def loss_curve(training: Training) -> Figure:
    """Draw the mean loss of each epoch."""
    drawing, (axes,) = new_figure(height=2.5)
    axes.set_title(shorten(training.name, 40))
    if not np.isfinite(training.losses).any():
        say_empty(axes, "no epoch was finished")
        return drawing
    epochs = range(1, len(training.losses) + 1)
    axes.plot(epochs, training.losses, color=BLUE, marker="o" if len(training.losses) < 40 else None)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("epoch")
    axes.set_ylabel("mean loss of an image")
    return drawing


def _mark_naps(axes: Axes, naps: Sequence[SleepDiary]) -> None:
    """Draw a line where one nap ends and the next begins."""
    start = 0
    for nap in naps[:-1]:
        start += nap.num_images
        axes.axvline(start, color=SOFT, lw=0.8, ls=":")


def _finite(values: Float[ndarray, "..."]) -> Float[ndarray, " weight"]:
    flat = np.asarray(values, dtype=np.float64).ravel()
    return flat[np.isfinite(flat)]
