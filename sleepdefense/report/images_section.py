"""Rows of images with what the classifier sees in them."""

from sleepdefense.report.canvas import image_png
from sleepdefense.report.markup import Html, data_uri, element, folded, join, missing
from sleepdefense.report.record import ImageRow, RunRecord, SampleStrip

OPEN = 3
"""Strips that are shown at once; the others open at a click."""


def images_section(record: RunRecord) -> Html:
    """Return a strip of images for each attack."""
    if not record.strips:
        return missing("No images", record.why_absent("samples.h5"))
    intro = element(
        "p",
        "The same test images in every row. Below each one: the class that the classifier sees in it, and "
        "the true one in brackets where they differ."
        + (
            " Spared: the image was not attacked, because it was wrong anyway, or down already."
            if any(_is_spared(row) for strip in record.strips for row in strip.rows)
            else ""
        ),
    )
    strips = [
        folded(strip.title, _strip(strip), is_open=number < OPEN)
        for number, strip in enumerate(record.strips)
    ]
    return join(intro, *strips)


def _is_spared(row: ImageRow) -> bool:
    """Whether some image of a row was not attacked."""
    return row.predicted is not None and bool((row.predicted < 0).any())


def _strip(strip: SampleStrip) -> Html:
    return element("div", *(_row(row, strip) for row in strip.rows), class_="strip")


def _row(row: ImageRow, strip: SampleStrip) -> Html:
    labels = [int(label) for label in strip.labels]
    predicted = [None] * len(labels) if row.predicted is None else [int(each) for each in row.predicted]
    cells = [
        _cell(data_uri(image_png(image)), label, seen, row.title)
        for image, label, seen in zip(row.images, labels, predicted, strict=False)
    ]
    return element("div", element("div", row.title, class_="title"), *cells, class_="row")


def _cell(source: str, label: int, seen: int | None, title: str) -> Html:
    image = element("img", src=source, alt=f"{title}, true class {label}", class_="pixels")
    if seen is None:
        return element("figure", image, element("figcaption", f"({label})"))
    if seen < 0:
        return element("figure", image, element("figcaption", "spared"))
    is_right = seen == label
    words = [f"{seen} \N{CHECK MARK}"] if is_right else [f"{seen} \N{BALLOT X}", _true(label)]
    return element("figure", image, element("figcaption", *words, class_="right" if is_right else "wrong"))


def _true(label: int) -> Html:
    """Return the true class, which a phone has no room for."""
    return element("span", f" ({label})", class_="true")
