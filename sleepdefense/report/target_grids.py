"""Figures of targeted attacks: every source towards every target, with the failures marked."""

from collections.abc import Mapping
from dataclasses import dataclass

from jaxtyping import Bool, Float
from matplotlib.figure import Figure
from numpy import ndarray

from sleepdefense.report.canvas import as_rgb, in_our_look

_CROSS = "#d0021b"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TargetGrid:
    """What a targeted attack made of one image of each class.

    Attributes:
        images: (class, class, channel, height, width): source, target; the diagonal holds the sources.
        found: Whether the image is taken for the target, (class, class); true on the diagonal.
    """

    images: Float[ndarray, "source target channel height width"]
    found: Bool[ndarray, "source target"]

    @property
    def num_found(self) -> int:
        """Pairs of different classes for which the attack found an image."""
        return int(self.found.sum()) - len(self.found)


@in_our_look
def target_figure(grids: Mapping[str, TargetGrid]) -> Figure:
    """Draw grids side by side: one row a source, one column a target, a red cross where nothing was found."""
    drawing = Figure(figsize=(4.6 * len(grids), 5.0), layout="constrained")
    for panel, (name, grid) in zip(
        drawing.subfigures(1, len(grids), squeeze=False)[0], grids.items(), strict=True
    ):
        classes = len(grid.found)
        cells = panel.subplots(classes, classes, squeeze=False, gridspec_kw={"wspace": 0.03, "hspace": 0.03})
        for source, line in enumerate(cells):
            for target, axes in enumerate(line):
                axes.imshow(as_rgb(grid.images[source, target]), interpolation="nearest")
                axes.set_xticks([])
                axes.set_yticks([])
                axes.grid(visible=False)
                axes.spines[:].set_visible(source == target)
                if not grid.found[source, target]:
                    for ends in ((0, 1), (1, 0)):
                        axes.plot((0, 1), ends, color=_CROSS, linewidth=1.4, transform=axes.transAxes)
                if source == 0:
                    axes.set_title(str(target), fontsize=8, loc="center", pad=2)
                if target == 0:
                    axes.set_ylabel(str(source), fontsize=8, rotation=0, labelpad=6, va="center")
        pairs = classes * (classes - 1)
        panel.suptitle(
            f"{name}: {grid.num_found} of {pairs} found", x=0.02, ha="left", fontsize=9, weight="bold"
        )
    return drawing
