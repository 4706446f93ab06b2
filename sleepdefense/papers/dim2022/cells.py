"""What was measured, in the rows of the paper."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sleepdefense.attacks.parse import parse_attack
from sleepdefense.evaluation import RobustnessTable
from sleepdefense.evaluation.metrics import median_distance, within
from sleepdefense.evaluation.results import CLEAN
from sleepdefense.papers.side_by_side import Measured, SideBySide

NORMS = ("L2", "Linf", "L0", "L1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallen:
    """How far images had to be moved by one attack to be misclassified.

    Attributes:
        distance: Of each image, 0 if it is misclassified anyway, infinite if it never was, (image,).
        epsilon: Budget of the attack.
        status: "" or what went wrong.
        is_error: The attack failed: what it did not do says nothing.
    """

    distance: NDArray[np.float64]
    epsilon: float | None
    status: str = ""
    is_error: bool = False

    @property
    def stands(self) -> NDArray[np.bool_]:
        """Which images are classified correctly within the budget, (image,)."""
        standing: NDArray[np.bool_] = ~within(self.distance, self.epsilon)
        return standing


def fallen_by_attack(tables: Sequence[RobustnessTable], system: str) -> dict[str, Fallen]:
    """Return, for each attack in all tables, what it did to a system; the worst of its threat models.

    Args:
        tables: Of the same test images from the first on; some may have fewer.
        system: Name of the system.

    Returns:
        "clean" and names such as "L2:DDN".
    """
    found: dict[str, Fallen] = {}
    for table in tables:
        for number, row in enumerate(table.rows):
            if row.system != system:
                continue
            if row.attack == CLEAN:
                wrong = table.predicted[number] != table.labels
                one = Fallen(distance=np.where(wrong, 0.0, np.inf), epsilon=None)
                if CLEAN not in found or len(found[CLEAN].distance) < len(one.distance):
                    found[CLEAN] = one
                continue
            spec = parse_attack(row.spec)
            name = f"{spec.norm}:{spec.name}"
            status = "" if row.status == "ok" else row.status
            one = Fallen(
                distance=table.distance[number], epsilon=row.epsilon, status=status, is_error=row.is_error
            )
            found[name] = _worse(found[name], one) if name in found else one
    return found


def cells_of(fallen: Sequence[Mapping[str, Fallen]], rows: Sequence[str]) -> dict[str, Measured]:
    """Return the cells of a column.

    Args:
        fallen: What each seed gave, see `fallen_by_attack`.
        rows: Rows of the paper: attacks, "L2:all", "L2:median", "all:minimal", and "clean".

    Returns:
        Row -> cell, of the rows that something was measured for.
    """
    cells: dict[str, Measured] = {}
    for row in rows:
        found = [value for each in fallen if (value := _cell(each, row)) is not None]
        if not found:
            continue
        cells[row] = Measured(
            values=tuple(value for value, _, _ in found if not math.isnan(value)),
            n=0 if row.endswith(":median") else found[0][1],
            unit="" if row.endswith(":median") else "%",
            status="; ".join(dict.fromkeys(status for _, _, status in found if status)),
        )
    return cells


def _cell(fallen: Mapping[str, Fallen], row: str) -> tuple[float, int, str] | None:
    norm, _, what = row.partition(":")
    if row == CLEAN or what not in ("all", "median", "minimal"):
        one = fallen.get(row)
        if one is None:
            return None
        if one.is_error:
            return math.nan, 0, one.status
        return 100 * float(one.stands.mean()), len(one.distance), one.status
    valid = [name for name, one in fallen.items() if name != CLEAN and not one.is_error]
    names = [name for name in valid if (norm == "all" or name.startswith(f"{norm}:"))]
    if not names:
        return None
    if what == "minimal":
        worst = min(names, key=lambda name: float(fallen[name].stands.mean()))
        return 100 * float(fallen[worst].stands.mean()), len(fallen[worst].distance), f"by {worst}"
    every = [fallen[name] for name in names]
    num = min(len(each.distance) for each in every)
    status = f"{len(names)} attacks"
    if what == "median":
        nearest = np.min([each.distance[:num] for each in every], axis=0)
        return median_distance(nearest), num, status
    return 100 * float(np.all([each.stands[:num] for each in every], axis=0).mean()), num, status


def _worse(one: Fallen, other: Fallen) -> Fallen:
    if one.is_error or other.is_error:
        return other if one.is_error else one
    num = min(len(one.distance), len(other.distance))
    return Fallen(
        distance=np.minimum(one.distance[:num], other.distance[:num]),
        epsilon=one.epsilon,
        status="; ".join(dict.fromkeys(status for status in (one.status, other.status) if status)),
    )


def agreement(table: SideBySide) -> tuple[str, ...]:
    """Say, for each column, how many printed numbers lie inside the measured intervals."""
    sentences = []
    for column in table.columns:
        attacks = [row for row in table.rows if row.partition(":")[2] not in ("all", "median", "minimal", "")]
        verdicts = [verdict for row in attacks if (verdict := table.verdict(row, column))]
        if verdicts:
            counts = {word: verdicts.count(word) for word in ("inside", "above", "below")}
            sentences.append(
                f"{column}: of {len(verdicts)} printed accuracies {counts['inside']} lie inside the measured "
                f"interval, {counts['above']} above it, {counts['below']} below it."
            )
    return tuple(sentences)
