"""Why a measured number is not the printed one: remarks on rows of the papers' tables, as data.

They live in `tables/PAPER.toml`. Each says what was found out, with the figures, and the command that
measured them.
"""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from sleepdefense.papers.printed import PAPERS, printed_columns


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """One explanation.

    Attributes:
        system: As the paper calls it.
        rows: The printed rows that it is about, "L2:DDN".
        text: What was found out, in Markdown.
        command: What measured the figures in it; "" where it rests on nothing measured.
    """

    system: str
    rows: tuple[str, ...]
    text: str
    command: str = ""


def remarks_on(paper: str, system: str) -> tuple[Remark, ...]:
    """Return the remarks on a system's numbers, in the order of the file.

    Args:
        paper: One of `PAPERS`.
        system: As the paper calls it.

    Raises:
        ConfigError: The paper is unknown.

    >>> [remark.rows for remark in remarks_on("dim2022", "Madry")]
    []
    """
    printed_columns(paper)  # refuses an unknown one
    return tuple(remark for remark in _remarks(paper) if remark.system == system)


@cache
def _remarks(paper: str) -> tuple[Remark, ...]:
    assert paper in PAPERS
    path = files("sleepdefense.papers").joinpath("tables", f"{paper}.toml")
    if not path.is_file():
        return ()
    found = tomllib.loads(path.read_text(encoding="utf-8"))
    return tuple(
        Remark(
            system=each["system"],
            rows=tuple(each["rows"]),
            text=" ".join(each["text"].split()),
            command=each.get("command", ""),
        )
        for each in found["remark"]
    )
