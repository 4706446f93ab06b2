"""Figures of weights, drives, dissimilarities and geometry of classifiers, side by side."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from sleepdefense.analysis import (
    Dissimilarity,
    DriveDistribution,
    PathGeometry,
    RatioSample,
    WeightDistribution,
)
from sleepdefense.report.canvas import BLUE, INK, SOFT, VERMILION, in_our_look, new_figure

_COLOURS = (BLUE, VERMILION)
_PANEL = 2.4
"""Width of one panel, in inches."""
_SHOWN = 0.99
"""Share of a matrix that its scale covers."""


@in_our_look
def weight_figure(networks: Mapping[str, Sequence[WeightDistribution]]) -> Figure:
    """Draw the distributions of weights, one row a network, one column a layer, with the excess kurtosis.

    Args:
        networks: Name -> its layers; all have as many.
    """
    columns = len(next(iter(networks.values())))
    drawing, grid = new_figure(
        height=1.9 * len(networks), width=_PANEL * columns + 0.6, rows=len(networks), columns=columns
    )
    for row, (name, layers) in enumerate(networks.items()):
        for column, layer in enumerate(layers):
            axes = grid[row * columns + column]
            share = layer.density * np.diff(layer.edges)
            _steps(axes, layer.edges, share, _COLOURS[row % 2])
            axes.set_title(f"layer {column + 1}: excess kurtosis {layer.excess_kurtosis:.2f}", fontsize=8)
            if column == 0:
                axes.set_ylabel(f"{name}\nshare of weights", fontsize=8)
            if row == len(networks) - 1:
                axes.set_xlabel("weight")
    return drawing


@in_our_look
def drive_figure(networks: Mapping[str, Sequence[DriveDistribution]]) -> Figure:
    """Draw what flows into the units, one row a network, one column a layer.

    Args:
        networks: Name -> its layers; all have as many.
    """
    columns = len(next(iter(networks.values())))
    drawing, grid = new_figure(
        height=1.9 * len(networks), width=_PANEL * columns + 0.6, rows=len(networks), columns=columns
    )
    for row, (name, layers) in enumerate(networks.items()):
        for column, layer in enumerate(layers):
            axes = grid[row * columns + column]
            _steps(axes, layer.edges, layer.share, _COLOURS[row % 2])
            saturated = "" if np.isnan(layer.saturated) else f": {100 * layer.saturated:.0f} % saturated"
            axes.set_title(f"layer {column + 1}{saturated}", fontsize=8)
            if column == 0:
                axes.set_ylabel(f"{name}\nshare of drives", fontsize=8)
            if row == len(networks) - 1:
                axes.set_xlabel("drive h")
    return drawing


def _steps(axes: Axes, edges: NDArray[np.float64], share: NDArray[np.float64], colour: str) -> None:
    """Draw a histogram whose tails can be seen: the share of each bin on a logarithmic axis."""
    axes.stairs(share, edges, fill=True, color=colour, alpha=0.35)
    axes.stairs(share, edges, color=colour, linewidth=0.9)
    axes.set_yscale("log")
    positive = share[share > 0]
    axes.set_ylim(0.5 * float(positive.min()), 2 * float(positive.max()))


@in_our_look
def dissimilarity_figure(networks: Mapping[str, Sequence[Dissimilarity]]) -> Figure:
    """Draw the dissimilarity matrices, one row a network, one column a layer, each on a scale of its own.

    Args:
        networks: Name -> its layers; all have as many. Images sorted by class.
    """
    columns = len(next(iter(networks.values())))
    drawing, grid = new_figure(
        height=2.5 * len(networks), width=_PANEL * columns + 0.9, rows=len(networks), columns=columns
    )
    for row, (name, layers) in enumerate(networks.items()):
        for column, layer in enumerate(layers):
            axes, matrix = grid[row * columns + column], layer.matrix.numpy()
            # a few images far from all others would leave the rest dark
            shown = axes.imshow(
                matrix, vmin=0, vmax=np.quantile(matrix, _SHOWN), cmap="viridis", interpolation="none"
            )
            axes.set_xticks([])
            axes.set_yticks([])
            axes.grid(visible=False)
            axes.spines[:].set_visible(False)
            title = "output" if layer.layer == "softmax" else f"layer {column + 1}"
            axes.set_title(f"{title}: {layer.within:.3f} within,\n{layer.between:.3f} between", fontsize=8)
            if column == 0:
                axes.set_ylabel(name, fontsize=8)
            drawing.colorbar(shown, ax=axes, shrink=0.85, aspect=14, extend="max")
    return drawing


@in_our_look
def geometry_figure(
    networks: Mapping[str, Sequence[PathGeometry]], pairs: Sequence[tuple[int, int]]
) -> Figure:
    """Draw length element, output probabilities and singular values along paths between two images.

    Args:
        networks: Name -> one path for each pair; three rows each.
        pairs: Class of the source and of the target of each path: one column each.
    """
    columns = len(pairs)
    drawing, grid = new_figure(
        height=4.4 * len(networks), width=_PANEL * columns + 0.6, rows=3 * len(networks), columns=columns
    )
    for block, (name, ways) in enumerate(networks.items()):
        for column, ((source, target), way) in enumerate(zip(pairs, ways, strict=True)):
            length, outputs, values = (grid[(3 * block + row) * columns + column] for row in range(3))
            position = way.position.numpy()
            length.plot(position, way.length.numpy(), color=_COLOURS[block % 2], linewidth=1.2)
            length.set_title(f"{name}: {source} to {target}", fontsize=8)
            for label, curve in enumerate(way.probability.T.numpy()):
                colour = {source: BLUE, target: VERMILION}.get(label, SOFT)
                outputs.plot(
                    position, curve, color=colour, linewidth=1.2 if label in (source, target) else 0.6
                )
            outputs.set_ylim(-0.03, 1.03)
            for rank, curve in enumerate(way.singular_values.T.numpy()):
                values.plot(position, curve, color=INK if rank == 0 else SOFT, linewidth=0.8)
            labelled = ((length, "length element"), (outputs, "probability"), (values, "singular values"))
            for axes, words in labelled:
                axes.tick_params(labelsize=7)
                if column == 0:
                    axes.set_ylabel(words, fontsize=8)
            if block == len(networks) - 1:
                values.set_xlabel("interpolation", fontsize=8)
    return drawing


@in_our_look
def ratio_figure(samples: Sequence[RatioSample], layers: Sequence[RatioSample]) -> Figure:
    """Draw the scaled ratio against the excess kurtosis of the distribution of weights.

    Args:
        samples: Of Pearson type VII distributions, the one of kurtosis 0 first.
        layers: Of the weights of networks, shown as bars beside them.
    """
    drawing, (curve, bars) = new_figure(height=3.2, width=9.0, columns=2)
    kurtosis = np.array([sample.kurtosis for sample in samples])
    mean = np.array([sample.mean for sample in samples])
    deviation = np.array([sample.deviation for sample in samples])
    curve.errorbar(kurtosis, mean, deviation, color=BLUE, marker="o", linestyle="none", label="pairs drawn")
    curve.plot(kurtosis, [sample.limit for sample in samples], color=INK, linewidth=0.9, label="closed form")
    ring: dict[str, Any] = {"marker": "o", "markersize": 9, "fillstyle": "none", "zorder": 4}
    curve.plot(kurtosis[0], mean[0], color=VERMILION, linestyle="none", label="normal", **ring)
    curve.set_xscale("symlog", linthresh=0.1)
    curve.set_xlim(left=-0.02)
    curve.set_xlabel("excess kurtosis")
    curve.set_ylabel("smallest $\\epsilon$ / mean |$w_1$|")
    curve.legend(loc="lower right")
    place = np.arange(len(layers))[::-1]
    colours = [VERMILION if "saturated" in sample.label else BLUE for sample in layers]
    mean, deviation = (np.array([getattr(each, name) for each in layers]) for name in ("mean", "deviation"))
    bars.barh(place, mean, xerr=deviation, color=colours)
    bars.set_yticks(place, [f"{sample.label} ({sample.kurtosis:.1f})" for sample in layers], fontsize=7)
    bars.axvline(samples[0].limit, color=INK, linewidth=0.9)
    bars.set_xlabel("the same, weights of a layer (its kurtosis)")
    return drawing
