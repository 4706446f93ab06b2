"""How one table or figure of a paper is made, from nothing but data."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from sleepdefense.errors import ConfigError
from sleepdefense.papers.outcome import Outcome
from sleepdefense.pipeline import Context

SCALES = ("smoke", "cpu", "paper")
"""smoke: about a minute, shows that all parts work; cpu: hours on two cores; paper: as printed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One recipe, to be cooked in one place.

    Attributes:
        folder: Holds whatever is made on the way, so that a job that was stopped goes on.
        scale: How much of everything: one of `SCALES`.
        dataset: Name of the data set.
        seeds: One repetition for each; at least one, all different.
        context: How steps run; they use what is finished.
        data_dir: Where data sets lie.

    Raises:
        ConfigError: The scale is unknown, or the seeds are none or not different.
    """

    folder: Path
    scale: str
    dataset: str
    seeds: tuple[int, ...]
    context: Context
    data_dir: Path | None = None

    def __post_init__(self) -> None:
        if self.scale not in SCALES:
            raise ConfigError(f"unknown scale '{self.scale}': expected one of {', '.join(SCALES)}")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ConfigError(f"'seeds' must be different numbers, at least one, got {self.seeds}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One table or figure.

    Attributes:
        paper: Short name of the paper, "dim2022".
        kind: What it is.
        number: As the paper counts.
        title: What it shows.
        datasets: Data sets that it can be made for, the usual one first.
        cook: Makes it.
        parts: What can be made of it alone, in less time: name -> what makes it.
        only: The part that this is; "" for the whole.
    """

    paper: str
    kind: Literal["table", "figure"]
    number: int
    title: str
    datasets: tuple[str, ...]
    cook: Callable[[Job], Outcome]
    parts: Mapping[str, Callable[[Job], Outcome]] = field(default_factory=dict)
    only: str = ""

    @property
    def name(self) -> str:
        """What its files are called, "dim2022-table1"; of a part, "dim2022-table1-sleep"."""
        return f"{self.paper}-{self.kind}{self.number}" + (f"-{self.only}" if self.only else "")

    def part(self, name: str) -> "Recipe":
        """Return the recipe of one part.

        Raises:
            ConfigError: There is no such part.
        """
        if name not in self.parts:
            known = f"expected one of {', '.join(self.parts)}" if self.parts else "it can only be made whole"
            raise ConfigError(f"{self.kind} {self.number} of '{self.paper}' has no part '{name}': {known}")
        return replace(self, cook=self.parts[name], parts={}, only=name)
