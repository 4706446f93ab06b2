"""What became of every layer, how exact that is, and what the neurons do."""

import math

from sleepdefense.conversion.report import ConversionReport, LayerReport
from sleepdefense.report.canvas import png_bytes
from sleepdefense.report.conversion_figures import conversion_distance, conversion_error, raster
from sleepdefense.report.markup import Html, element, figure, folded, join, missing, table
from sleepdefense.report.record import RunRecord

MOST_RASTERS = 12


def conversion_section(record: RunRecord) -> Html:
    """Return the plots of the conversion error and the table of all layers."""
    report = record.conversion
    if report is None:
        return missing("No comparison yet", record.why_absent("conversion.json", "spiking.h5"))
    error, distance = png_bytes(conversion_error(report)), png_bytes(conversion_distance(report))
    plots = element(
        "div",
        figure(error, alt="Relative error of each layer against the number of steps: see the table."),
        figure(distance, alt="One minus the correlation of each layer against the number of steps."),
        class_="figures",
    )
    words = (
        f"Every layer of the spiking network beside the awake one, on {report.num_images} images with a "
        "constant input current. Awake value = scale x signal; a neuron that fires once a step stands for "
        "the scale. Clipped: share of the positive activations above it."
    )
    return join(element("p", words), plots, _table(report), _removed(report))


def _table(report: ConversionReport) -> Html:
    longest = max(report.num_steps, default=0)
    rows = [
        (
            layer.name,
            layer.fate,
            number(layer.scale, 3),
            "" if layer.clipped is None else f"{100 * layer.clipped:.2f} %",
            "" if layer.rate is None else number(layer.rate, 3),
            *_at(layer, longest),
        )
        for layer in report.layers
    ]
    head = (
        "layer",
        "what became of it",
        "scale",
        "clipped",
        "rate",
        f"correlation ({longest} steps)",
        f"error ({longest} steps)",
    )
    return table(
        head,
        rows,
        numbers=(2, 3, 4, 5, 6),
        caption="Rate: spikes a neuron and step. Error: root mean square, as a fraction of that of the "
        "awake value.",
    )


def _at(layer: LayerReport, steps: int) -> tuple[str, str]:
    correlation = layer.correlation.get(steps, math.nan)
    return f"{correlation:.5f}" if math.isfinite(correlation) else "", number(layer.error.get(steps), 3)


def number(value: float | None, digits: int) -> str:
    """Return a number with so many significant digits; empty for None and NaN.

    >>> number(0.012345, 3), number(None, 3)
    ('0.0123', '')
    """
    return "" if value is None or math.isnan(value) else f"{value:.{digits}g}"


def _removed(report: ConversionReport) -> Html:
    if not report.removed:
        return Html()
    rows = [(name, reason) for name, reason in report.removed]
    return folded(f"{len(rows)} layers were removed", table(("layer", "why"), rows))


def raster_section(record: RunRecord) -> Html:
    """Return one raster for each firing layer."""
    names = list(dict.fromkeys(name for trains in record.rasters.values() for name in trains))
    if not names:
        return missing("No spikes", record.why_absent("rasters.h5"))
    order = [] if record.conversion is None else [layer.name for layer in record.conversion.layers]
    names.sort(key=lambda name: order.index(name) if name in order else len(order))
    drawn = []
    for name in names[:MOST_RASTERS]:
        trains = {when: layers[name] for when, layers in record.rasters.items() if name in layers}
        alt = f"Spikes of layer {name} for one image, {' and '.join(sorted(trains, reverse=True))} sleep."
        drawn.append(figure(png_bytes(raster(name, trains)), alt=alt))
    left = len(names) - MOST_RASTERS
    rest = element("p", f"{left} more layers are not drawn.") if left > 0 else Html()
    words = (
        "Each mark is a spike while one and the same image is presented as a train of random spikes. Of the "
        "recorded neurons, those that fire at least once are drawn; the rate is that of all recorded ones."
    )
    absent = [when for when in ("before", "after") if when not in record.rasters]
    note = missing(f"No spikes {absent[0]} sleep", "they were not kept") if absent else Html()
    return join(element("p", words), note, element("div", *drawn, class_="figures"), rest)
