"""Which images each system gets right, cell by cell, seed by seed."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sleepdefense.evaluation import RobustnessTable
from sleepdefense.evaluation.results import CLEAN
from sleepdefense.papers.side_by_side import Measured


@dataclass(frozen=True, slots=True)
class Score:
    """Which images a system gets right in one cell, one array a seed."""

    seeds: tuple[NDArray[np.bool_], ...]

    @property
    def measured(self) -> Measured:
        """The share of them in percent, for each seed."""
        return Measured(values=tuple(100 * float(right.mean()) for right in self.seeds), n=len(self.seeds[0]))

    @property
    def pooled(self) -> NDArray[np.bool_]:
        """The images of all seeds, one seed after the other."""
        return np.concatenate(self.seeds)

    def joined(self, other: "Score") -> "Score":
        """Return the seeds of this score and then those of another one."""
        return Score((*self.seeds, *other.seeds))


@dataclass(slots=True)
class Scores:
    """All cells of a recipe: (classifier, attack, system) -> score.

    Attributes:
        cells: Filled seed by seed.
    """

    cells: dict[tuple[str, str, str], Score] = field(default_factory=dict)

    def add_(
        self,
        classifier: str,
        table: RobustnessTable,
        attacks: Mapping[str, str],
        *,
        clean_as: str | None = CLEAN,
    ) -> None:
        """Add what one evaluation of one seed found, in place.

        Args:
            classifier: Whose evaluation it is.
            table: With one threat model a system.
            attacks: Label of an attack in the table -> name in the paper.
            clean_as: What clean images are called; None leaves them out, because another evaluation counts
                them.
        """
        for number, row in enumerate(table.rows):
            name = clean_as if row.attack == CLEAN else attacks[row.attack]
            if row.is_error or name is None:
                continue
            score = Score((table.standing(number),))
            key = (classifier, name, row.system)
            self.cells[key] = self.cells[key].joined(score) if key in self.cells else score

    def get(self, classifier: str, attack: str, system: str) -> Score | None:
        """Return one score, or None if it was not measured."""
        return self.cells.get((classifier, attack, system))

    def measured(self, classifier: str, attack: str, system: str) -> Measured | None:
        """Return one cell of a table, or None if it was not measured."""
        score = self.get(classifier, attack, system)
        return None if score is None else score.measured
