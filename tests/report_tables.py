"""Tables of the report, read back."""

import re


def lines(html: str) -> list[list[str]]:
    """The cells of each line of a table, without tags."""
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", html)
    return [
        [re.sub(r"<[^>]*>", " ", cell).strip() for cell in re.findall(r"<t[dh].*?</t[dh]>", row)]
        for row in rows
    ]
