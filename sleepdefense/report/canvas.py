"""Matplotlib without its global state: one look, and PNG bytes that depend on the data alone."""

import io
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import matplotlib
import numpy as np
from jaxtyping import Float
from matplotlib import image as matplotlib_image
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

WIDTH = 4.8
"""Inches. Figures stand side by side on a wide screen, and one below the other, still legible, on a phone."""

INK, QUIET, SOFT = "#20262d", "#5b6570", "#8b929b"
BLUE, VERMILION = "#0072b2", "#d55e00"
OTHERS = ("#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Colours of Okabe and Ito, which people with any form of colour blindness can tell apart."""

_LOOK: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": SOFT,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 9,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.unicode_minus": True,
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "grid.color": "#d9dde2",
    "grid.linewidth": 0.6,
    "hatch.linewidth": 0.6,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "legend.handlelength": 1.6,
    "lines.linewidth": 1.6,
    "lines.markersize": 4,
    "text.color": INK,
    "xtick.color": SOFT,
    "xtick.labelcolor": INK,
    "xtick.labelsize": 8.5,
    "ytick.color": SOFT,
    "ytick.labelcolor": INK,
    "ytick.labelsize": 8.5,
}

_NO_SOFTWARE: dict[Any, Any] = {"Software": None}

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def in_our_look(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Run a function with the settings of our figures, whatever those of the process are."""

    @wraps(function)
    def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(_LOOK)
            return function(*args, **kwargs)

    return run


def new_figure(
    *, height: float, width: float = WIDTH, rows: int = 1, columns: int = 1, **options: Any
) -> tuple[Figure, list[Axes]]:
    """Return a figure of our look, `width` by `height` inches, and its axes, row by row."""
    drawing = Figure(figsize=(width, height), layout="constrained")
    grid = drawing.subplots(rows, columns, squeeze=False, **options)
    return drawing, [axes for line in grid for axes in line]


@in_our_look
def png_bytes(drawing: Figure, *, dpi: int = 180, background: str = "none") -> bytes:
    """Return a figure as PNG, without a background unless one is named; equal data gives equal bytes."""
    drawing.set_dpi(dpi)
    drawing.set_facecolor(background)
    canvas: Any = FigureCanvasAgg(drawing)  # its methods have no types
    canvas.draw()  # savefig would draw everything twice
    return _encoded(np.asarray(canvas.buffer_rgba()))


def _encoded(pixels: NDArray[np.uint8]) -> bytes:
    """Return pixels, (height, width, channel), as PNG that names no software and no date."""
    stream = io.BytesIO()
    matplotlib_image.imsave(stream, pixels, format="png", metadata=_NO_SOFTWARE)
    return stream.getvalue()


def image_png(image: Float[np.ndarray, "channel height width"]) -> bytes:
    """Return an image as PNG, one pixel for one pixel.

    Args:
        image: (channel, height, width), in [0, 1]; three channels are red, green and blue, any other number
            is averaged to grey.
    """
    return _encoded(as_rgb(image))


def as_rgb(image: Float[np.ndarray, "channel height width"]) -> NDArray[np.uint8]:
    """Return an image as (height, width, 3), 8 bits; what is not finite is black."""
    safe = np.clip(np.nan_to_num(np.asarray(image, np.float64), nan=0.0), 0.0, 1.0)
    if len(safe) != 3:
        safe = np.repeat(safe.mean(0, keepdims=True), 3, axis=0)
    return np.ascontiguousarray(np.rint(safe.transpose(1, 2, 0) * 255).astype(np.uint8))


def depth_colours(count: int) -> list[str]:
    """Return one colour for each layer, from dark (first) to light (last).

    Both ends stay clear of black and white, since a dark page shows them with lightness inverted.
    """
    steps = np.linspace(0.08, 0.74, max(count, 2))[:count]
    return [matplotlib.colors.to_hex(colour) for colour in matplotlib.colormaps["viridis"](steps)]


MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")


def legend_below(drawing: Figure, axes: Axes, *, columns: int = 3) -> None:
    """Put the legend under the figure, where it covers nothing."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        drawing.legend(handles, labels, loc="outside lower left", ncols=columns)


def say_empty(axes: Axes, words: str) -> None:
    """Write into axes that have nothing to show why."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, words, ha="center", va="center", color=SOFT, transform=axes.transAxes)


def shorten(name: str, length: int = 22) -> str:
    """Return a name that fits a legend, its middle left out if need be.

    >>> shorten("a_rather_long_name_of_a_layer", 12)
    'a_rat...ayer'
    """
    if len(name) <= length:
        return name
    half = (length - 3) // 2
    return f"{name[: length - 3 - half]}...{name[-half:]}"


def finite(values: Sequence[float]) -> list[float]:
    """Return the values that are numbers."""
    return [value for value in values if np.isfinite(value)]
