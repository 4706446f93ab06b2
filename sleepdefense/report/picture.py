"""One picture of a run, for a README: the steps, the accuracies, and a few images."""

import io
import os
import secrets
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from sleepdefense.errors import CheckpointError
from sleepdefense.report.canvas import INK, QUIET, SOFT, as_rgb, in_our_look, png_bytes, shorten
from sleepdefense.report.overview import Step, steps
from sleepdefense.report.record import RunRecord, SampleStrip
from sleepdefense.report.robustness_figures import draw_bars
from sleepdefense.report.roles import find_roles
from sleepdefense.report.threats import OBLIVIOUS, WHITE_BOX
from sleepdefense.report.views import attack_views, headline_attack

MOST_ATTACKS = 4
MOST_COLUMNS = 7
GROUND = "#fdfdfc"


def write_picture(record: RunRecord, path: Path) -> None:
    """Write the picture of a run as SVG or PNG, by the ending of `path`. Equal records give equal bytes.

    Args:
        record: The run. What is missing is left blank.
        path: Ends in ".svg" or ".png"; its folder must exist. Replaced as a whole.

    Raises:
        CheckpointError: The ending is another one, or the file cannot be written.
    """
    kind = path.suffix.lower().removeprefix(".")
    if kind not in ("svg", "png"):
        raise CheckpointError(f"cannot draw '{path}': the name must end in .svg or .png")
    content = _drawn(record, kind)
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except OSError as error:
        raise CheckpointError(f"cannot write '{path}': {error}") from error
    finally:
        temporary.unlink(missing_ok=True)


@in_our_look
def _drawn(record: RunRecord, kind: str) -> bytes:
    drawing = overview_picture(record)
    if kind == "png":
        return png_bytes(drawing, dpi=160, background=GROUND)
    stream = io.BytesIO()
    matplotlib.rcParams["svg.hashsalt"] = "sleepdefense"
    drawing.savefig(stream, format="svg", facecolor=GROUND, metadata={"Date": None, "Creator": None})
    return stream.getvalue()


@in_our_look
def overview_picture(record: RunRecord) -> Figure:
    """Draw the steps of a run, its accuracies in both threat models, and images under one attack."""
    drawing = Figure(figsize=(10, 5.2), layout="constrained")
    FigureCanvasAgg(drawing)
    top, bottom = drawing.subfigures(2, 1, squeeze=False, height_ratios=(1, 4.1))[:, 0]
    _steps(top.subplots(), steps(record))
    strip = _strip(record)
    if strip is None:
        _bars(bottom, record)
    else:
        left, right = bottom.subfigures(1, 2, squeeze=False, width_ratios=(1.25, 1))[0]
        _bars(left, record)
        _images(right, strip)
    return drawing


def _steps(axes: Axes, found: tuple[Step, ...]) -> None:
    axes.set_axis_off()
    axes.set_xlim(0, len(found))
    axes.set_ylim(0, 1)
    for place, step in enumerate(found):
        box = FancyBboxPatch(
            (place + 0.09, 0.12),
            0.82,
            0.76,
            boxstyle="round,pad=0,rounding_size=0.05",
            facecolor="#f3f4f5",
            edgecolor="none",
            mutation_aspect=0.5,
        )
        axes.add_patch(box)
        middle = place + 0.5
        axes.text(middle, 0.73, step.name, ha="center", va="center", color=QUIET, fontsize=9)
        axes.text(
            middle, 0.5, step.value or "-", ha="center", va="center", color=INK, fontsize=11.5, weight="bold"
        )
        axes.text(middle, 0.26, _wrapped(step.meaning), ha="center", va="center", color=QUIET, fontsize=6.5)
        if place:
            arrow = FancyArrowPatch(
                (place - 0.08, 0.5), (place + 0.08, 0.5), arrowstyle="-|>", mutation_scale=9, color=SOFT, lw=1
            )
            axes.add_patch(arrow)


def _wrapped(words: str) -> str:
    """Return words in two lines at most, cut in the middle."""
    if len(words) <= 32:
        return words
    spaces = [place for place, letter in enumerate(words) if letter == " "]
    cut = min(spaces, key=lambda place: abs(place - len(words) / 2), default=len(words))
    return f"{words[:cut]}\n{words[cut + 1 :]}"


def _bars(panel: Figure | SubFigure, record: RunRecord) -> None:
    if record.table is None:
        axes = panel.subplots()
        axes.set_axis_off()
        axes.text(0.5, 0.5, "not evaluated yet", ha="center", color=SOFT, transform=axes.transAxes)
        return
    every = attack_views(record.table)
    views = [view for view in every if view.follows_gradient or not view.is_attack][: MOST_ATTACKS + 1]
    roles = find_roles(record.table)
    is_split = any(OBLIVIOUS in cells for view in views for cells in view.cells.values())
    models = ((OBLIVIOUS, "oblivious attack"), (WHITE_BOX, "white-box attack"))
    shown = models if is_split else ((WHITE_BOX, "under attack"),)
    grid = panel.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    for axes, (model, title) in zip(grid, shown, strict=True):
        draw_bars(axes, views, roles, model)
        axes.set_title(title)
        axes.set_xlabel("accuracy (%)")
    handles, labels = grid[0].get_legend_handles_labels()
    panel.legend(handles, labels, loc="outside lower left", ncols=3)


def _strip(record: RunRecord) -> SampleStrip | None:
    """Return the strip of the attack that the summary speaks of."""
    attacked = [strip for strip in record.strips if len(strip.rows) > 2]
    view = None if record.table is None else headline_attack(attack_views(record.table))
    name = "" if view is None else view.label
    return next((strip for strip in attacked if strip.title.startswith(name)), None)


def _images(panel: SubFigure, strip: SampleStrip) -> None:
    rows = strip.rows[:4]
    columns = min(MOST_COLUMNS, min(len(row.images) for row in rows))
    grid = panel.subplots(len(rows), columns, squeeze=False, gridspec_kw={"wspace": 0.02, "hspace": 0.02})
    for line, row in zip(grid, rows, strict=True):
        for place, axes in enumerate(line):
            axes.imshow(as_rgb(row.images[place]), interpolation="nearest", clip_on=False)
            axes.set_xticks([])
            axes.set_yticks([])
            axes.grid(visible=False)
            axes.spines[:].set_visible(False)
            if row.predicted is not None:
                seen, label = int(row.predicted[place]), int(strip.labels[place])
                words = f"{seen}" if seen == label else f"{seen}, wrong"
                axes.set_xlabel(words, fontsize=7, labelpad=1.5, color=QUIET if seen == label else "#a83e00")
        line[0].set_title(shorten(row.title, 48), fontsize=8, weight="normal", pad=3)
    panel.suptitle(shorten(strip.title, 50), x=0.0, ha="left", fontsize=9.5, weight="bold")
