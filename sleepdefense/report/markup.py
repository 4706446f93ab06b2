"""HTML that cannot be malformed: every tag is closed, every text is escaped."""

import base64
from collections.abc import Sequence
from html import escape

_VOID = {"br", "img", "meta", "wbr"}


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def element(tag: str, *children: str, **attributes: str | None) -> Html:
    """Return one HTML element.

    Args:
        tag: Its name.
        children: What it holds: `Html` as it is, any other text escaped.
        attributes: Their values are escaped. A trailing "_" of a name is dropped, other "_" become "-";
            None leaves the attribute out.

    >>> element("p", "a < b", element("br"), class_="note")
    '<p class="note">a &lt; b<br></p>'
    """
    given = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for name, value in attributes.items()
        if value is not None
    )
    if tag in _VOID:
        return Html(f"<{tag}{given}>")
    return Html(f"<{tag}{given}>{join(*children)}</{tag}>")


def join(*children: str) -> Html:
    """Return all children one after the other, escaped where they are plain text."""
    return Html("".join(child if isinstance(child, Html) else escape(child) for child in children))


def table(
    head: tuple[str, ...],
    rows: Sequence[tuple[str, ...]],
    *,
    numbers: tuple[int, ...] = (),
    caption: str = "",
) -> Html:
    """Return a table that scrolls sideways where the screen is too narrow.

    Args:
        head: Headings of the columns.
        rows: Cells, as many as there are headings.
        numbers: Columns that hold numbers, and are set flush right.
        caption: What it shows, in a sentence.
    """

    def line(tag: str, cells: tuple[str, ...]) -> Html:
        return element(
            "tr",
            *(
                element(tag, cell, class_="number" if column in numbers else None)
                for column, cell in enumerate(cells)
            ),
        )

    body = element("tbody", *(line("td", row) for row in rows))
    whole = element("table", element("thead", line("th", head)), body)
    return captioned(whole, caption)


def captioned(whole: Html, caption: str) -> Html:
    """Return a table below its caption, which does not scroll with it."""
    title = element("p", caption, class_="caption") if caption else Html()
    return join(title, element("div", whole, class_="scroll", tabindex="0"))


def figure(png: bytes, *, alt: str, caption: str = "", class_: str | None = None) -> Html:
    """Return a picture with its caption; `alt` says in words what it shows."""
    return element(
        "figure",
        element("img", src=data_uri(png), alt=alt, class_="ink"),
        element("figcaption", caption) if caption else Html(),
        class_=class_,
    )


def data_uri(png: bytes) -> str:
    """Return a PNG as text that a page can hold."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def folded(summary: str, *children: str, is_open: bool = False) -> Html:
    """Return a part of the page that opens at a click."""
    return element("details", element("summary", summary), *children, open="" if is_open else None)


def missing(what: str, reason: str) -> Html:
    """Return the box that stands where a part of the page has nothing to show."""
    return element("p", element("strong", f"{what}: "), reason, class_="missing")
