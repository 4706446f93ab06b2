"""Attack the networks of a table, and keep which images each of them gets right."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from sleepdefense.attacks.parse import parse_attacks
from sleepdefense.data import ImageSet
from sleepdefense.evaluation import RobustnessTable, evaluate_systems
from sleepdefense.papers.recipe import Job
from sleepdefense.papers.side_by_side import Measured
from sleepdefense.papers.talafha2023.plan import ATTACK_NAMES, Plan

CLEAN = "clean"


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


def judge(
    job: Job,
    plan: Plan,
    systems: Mapping[str, nn.Module],
    test: ImageSet,
    out: Path,
    *,
    seed: int,
    attacks: Sequence[str],
    batch_size: int | None = None,
) -> tuple[RobustnessTable, dict[str, str]]:
    """Attack systems on test images, or read what an earlier run found.

    Args:
        job: What this is part of.
        plan: Its scale.
        systems: By name.
        test: Images and labels.
        out: File of the results.
        seed: Of the random parts.
        attacks: Names of attacks, as the paper calls them.
        batch_size: Images attacked at once, if not as planned.

    Returns:
        The table, and for each label of an attack the paper's name.
    """
    texts = dict(zip(ATTACK_NAMES, plan.attacks, strict=True))
    specs = parse_attacks(",".join(texts[name] for name in attacks))
    table = evaluate_systems(
        systems,
        test,
        specs,
        seed=seed,
        batch_size=batch_size or plan.batch_size,
        checks=False,
        resume=out,
        note=f"scale {job.scale}",
        progress=job.context.progress,
    )
    return table, {spec.label: name for spec, name in zip(specs, attacks, strict=True)}
