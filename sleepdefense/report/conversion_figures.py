"""How close the spiking network is to the awake one, and what its neurons do."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator
from numpy import ndarray
from numpy.typing import NDArray

from sleepdefense.conversion.report import ConversionReport, LayerReport
from sleepdefense.report.canvas import (
    BLUE,
    INK,
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

MOST_LAYERS = 9
MOST_NEURONS = 64


@in_our_look
def conversion_error(report: ConversionReport) -> Figure:
    """Draw the relative error of each layer against the number of steps, on logarithmic axes."""
    drawing = _against_steps(report, lambda layer, steps: layer.error.get(steps, float("nan")))
    axes = drawing.axes[0]
    axes.set_title("Error after so many steps")
    axes.set_ylabel("RMS error / RMS activation")
    return drawing


@in_our_look
def conversion_distance(report: ConversionReport) -> Figure:
    """Draw one minus the correlation of each layer against the number of steps, on logarithmic axes."""
    drawing = _against_steps(report, lambda layer, steps: 1 - layer.correlation.get(steps, float("nan")))
    axes = drawing.axes[0]
    axes.set_title("What correlation is missing")
    axes.set_ylabel("1 - correlation with activation")
    return drawing


def layers_to_draw(report: ConversionReport) -> list[LayerReport]:
    """Return the layers that fire and the last one; those in between only pass on what they get."""
    firing = [layer for layer in report.layers if layer.rate is not None]
    last = [layer for layer in report.layers[-1:] if layer.rate is None]
    kept = firing if len(firing) <= MOST_LAYERS - 1 else _spread(firing, MOST_LAYERS - 1)
    return kept + last


def _spread(layers: Sequence[LayerReport], count: int) -> list[LayerReport]:
    chosen = np.unique(np.linspace(0, len(layers) - 1, count).round().astype(int))
    return [layers[int(number)] for number in chosen]


def _against_steps(report: ConversionReport, value: Callable[[LayerReport, int], float]) -> Figure:
    layers = layers_to_draw(report)
    drawing, (axes,) = new_figure(height=3.3 + 0.08 * len(layers))
    drawn: list[float] = []
    for layer, colour, marker in zip(layers, depth_colours(len(layers)), MARKERS, strict=False):
        known = [(steps, value(layer, steps)) for steps in sorted(report.num_steps)]
        good = [(steps, found) for steps, found in known if np.isfinite(found) and found > 0]
        if not good:
            continue
        x, y = zip(*good, strict=True)
        drawn += y
        name = shorten(layer.name, 17) + (" (read out)" if layer.rate is None else "")
        axes.plot(x, y, marker=marker, color=colour, label=name, ls="--" if layer.rate is None else "-")
    if not drawn:
        say_empty(axes, "no layer differs measurably" if layers else "no layer fires")
        return drawing
    steps = sorted(report.num_steps)
    axes.set_xlim(steps[0] / 1.2, steps[-1] * 1.2)
    axes.set_ylim(min(drawn) / 1.5, max(drawn) * 1.5)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.xaxis.set_major_locator(FixedLocator(steps))
    axes.xaxis.set_major_formatter(FixedFormatter([str(each) for each in steps]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("steps of the spiking run")
    legend_below(drawing, axes, columns=2)
    return drawing


@in_our_look
def raster(name: str, trains: Mapping[str, UInt8[ndarray, "time unit"]]) -> Figure:
    """Draw the spikes of one layer for one image, before and after sleep, for the same neurons.

    Args:
        name: Of the layer.
        trains: "before", "after", or both: 0 or 1, (time, unit).
    """
    shown = [(when, trains[when]) for when in ("before", "after") if when in trains]
    drawing, panels = new_figure(height=2.7, columns=max(len(shown), 1), sharey=True)
    if not shown:
        say_empty(panels[0], "no spikes were kept")
        return drawing
    neurons = sampled_neurons([train for _, train in shown])
    for axes, (when, train) in zip(panels, shown, strict=True):
        colour = BLUE if when == "before" else VERMILION
        mean = float(np.mean(train != 0)) if train.size else 0.0
        axes.set_title(f"{when} sleep: {mean:.3f} a step", color=colour)
        _dots(axes, train, neurons, colour)
        axes.set_xlabel("step")
        axes.set_xlim(-0.5, max(len(train), 1) - 0.5)
        axes.set_ylim(-0.5, max(len(neurons), 1) - 0.5)
        axes.grid(visible=False)
    total = shown[0][1].shape[1]
    panels[0].set_ylabel(f"{len(neurons)} of {total} neurons")
    panels[0].set_yticks([])
    drawing.suptitle(shorten(name, 40), x=0.01, ha="left", fontsize=9.5, color=INK)
    return drawing


def sampled_neurons(trains: Sequence[UInt8[ndarray, "time unit"]]) -> NDArray[np.intp]:
    """Return up to 64 neurons, evenly spaced among those that fire in any of the trains."""
    units = min(train.shape[1] for train in trains)
    fires = np.zeros(units, dtype=bool)
    for train in trains:
        fires |= (train[:, :units] != 0).any(0)
    active = np.flatnonzero(fires).astype(np.intp)
    if len(active) <= MOST_NEURONS:
        return active
    chosen: NDArray[np.intp] = active[np.linspace(0, len(active) - 1, MOST_NEURONS).round().astype(int)]
    return chosen


def _dots(axes: Axes, train: UInt8[ndarray, "time unit"], neurons: NDArray[np.intp], colour: str) -> None:
    if not len(neurons):
        axes.text(0.5, 0.5, "no spike", ha="center", color=SOFT, transform=axes.transAxes)
        return
    step, row = np.nonzero(train[:, neurons])
    size = max(1.5, 110.0 / max(len(train), len(neurons)))
    axes.scatter(step, row, s=size**1.6, marker="|", linewidths=1.1, color=colour)
