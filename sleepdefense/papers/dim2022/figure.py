"""Figure 3: the latents of each internal model."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.manifold import TSNE
from sklearn.metrics import silhouette_score

from sleepdefense.models.dim import DIM
from sleepdefense.papers.dim2022.systems import build_system, data_of, plan_of
from sleepdefense.papers.outcome import Outcome
from sleepdefense.papers.recipe import Job
from sleepdefense.papers.side_by_side import Measured, SideBySide

_PANELS_IN_ROW = 5
_PERPLEXITY = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One internal model.

    Attributes:
        number: Its class.
        places: Of its latents in the plane, by t-SNE, (image, 2).
        own_against_rest: Silhouette of its own class against all others, in the latent space, in [-1, 1].
        in_the_plane: The same of `places`.
        others: Silhouette of the other classes among each other, in the latent space.
    """

    number: int
    places: NDArray[np.float32]
    own_against_rest: float
    in_the_plane: float
    others: float


def figure_3(job: Job) -> Outcome:
    """Draw the latents of each internal model of DIM, and measure how far its own class stands apart."""
    _, test = data_of(job)
    images = test.take(min(plan_of(job).latents, len(test)))
    labels = images.labels.numpy()
    by_seed = []
    for seed in job.seeds:
        model = build_system(job, "DIM", seed=seed)
        assert isinstance(model, DIM)
        latents = model.latents(images.images).numpy()
        by_seed.append([_panel(number, latent, labels, seed) for number, latent in enumerate(latents)])
    path = job.folder / "figure3.png"
    _draw(by_seed[0], labels, path)
    rows = tuple(f"internal model {panel.number}" for panel in by_seed[0])
    columns = ("own class against the rest", "the same in the plane", "other classes among each other")
    measured = {
        (row, column): Measured(values=tuple(values), unit="")
        for place, row in enumerate(rows)
        for column, values in zip(
            columns,
            (
                [panels[place].own_against_rest for panels in by_seed],
                [panels[place].in_the_plane for panels in by_seed],
                [panels[place].others for panels in by_seed],
            ),
            strict=True,
        )
    }
    table = SideBySide(
        name="figure3",
        title=f"Figure 3: silhouettes of the latents of {len(labels)} test images of '{job.dataset}', "
        f"{plan_of(job).name}; 1: far apart, 0: mixed, below 0: nearer to others than to their own",
        rows=rows,
        columns=columns,
        measured=measured,
        corner="latents of",
    )
    own = [measured[row, columns[0]].mean for row in rows]
    rest = [measured[row, columns[2]].mean for row in rows]
    finding = (
        f"In the latent space of an internal model its own class has a mean silhouette of {np.mean(own):.2f} "
        f"(from {min(own):.2f} to {max(own):.2f}) against the rest; the other classes have "
        f"{np.mean(rest):.2f} among each other."
    )
    return Outcome(tables=(table,), figures=(path,), findings=(finding,))


def _panel(number: int, latent: NDArray[np.float32], labels: NDArray[np.int64], seed: int) -> Panel:
    own = labels == number
    perplexity = min(_PERPLEXITY, (len(labels) - 1) / 3)
    places = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(latent)
    return Panel(
        number=number,
        places=np.asarray(places, dtype=np.float32),
        own_against_rest=_silhouette(latent, own),
        in_the_plane=_silhouette(places, own),
        others=_silhouette(latent[~own], labels[~own]),
    )


def _silhouette(points: NDArray[np.float32], groups: NDArray[np.generic]) -> float:
    """Return the mean silhouette of points, NaN if all are in one group."""
    if len(np.unique(groups)) < 2:
        return float("nan")
    return float(silhouette_score(points, groups))


def _draw(panels: list[Panel], labels: NDArray[np.int64], path: Path) -> None:
    rows = -(-len(panels) // _PANELS_IN_ROW)
    figure = Figure(figsize=(2.6 * _PANELS_IN_ROW, 2.8 * rows + 0.5), layout="constrained")
    axes = figure.subplots(rows, _PANELS_IN_ROW, squeeze=False).ravel()
    classes = np.unique(labels)
    for axis in axes:
        axis.set_axis_off()
    for axis, panel in zip(axes, panels, strict=False):
        for label in classes:
            chosen = labels == label
            is_own = label == panel.number
            axis.scatter(
                *panel.places[chosen].T,
                s=7 if is_own else 3,
                color=f"C{label % 10}",
                label=str(label),
                linewidths=0,
                zorder=2 if is_own else 1,
            )
        axis.set_title(
            f"internal model {panel.number}: silhouette {panel.own_against_rest:.2f}", fontsize="small"
        )
    handles, names = axes[0].get_legend_handles_labels()
    legend = figure.legend(handles, names, loc="outside lower center", ncols=len(classes), frameon=False)
    for handle in legend.legend_handles:
        assert isinstance(handle, PathCollection)
        handle.set_sizes([30.0])
    figure.savefig(path, dpi=130, metadata={"Software": None})
