"""Two systems compared image by image."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sleepdefense.evaluation.results import RobustnessTable
from sleepdefense.report.views import AttackView, valid_numbers

_Z = 1.959963984540054  # half of the 95 percent interval of the normal distribution


@dataclass(frozen=True, slots=True)
class Change:
    """How sleep changed the accuracy on the same images.

    Attributes:
        gained: Images right after sleep only.
        lost: Images right before sleep only.
        difference: (gained - lost) / n, in [-1, 1].
        lower: Lower end of its 95 percent interval.
        upper: Upper end of it.
    """

    gained: int
    lost: int
    difference: float
    lower: float
    upper: float

    @property
    def is_within_chance(self) -> bool:
        """Whether the interval holds zero."""
        return self.lower <= 0.0 <= self.upper


def paired_change(before: NDArray[np.bool_], after: NDArray[np.bool_]) -> Change:
    """Compare two systems image by image.

        d = (gained - lost) / (n + 2),
        d -+ 1.96 sqrt(((gained + lost + 1) - (gained - lost)^2 / (n + 2)) / (n + 2)^2)

    Args:
        before: Whether each image is classified correctly by the first system, (image,).
        after: The same for the second, (image,).

    Returns:
        The plain difference and the interval; without images NaN and an interval from -1 to 1.

    Source:
        Agresti and Min 2005: the interval of paired proportions with half an image added to each of the four
        cells, which stays honest where few images change.

    >>> change = paired_change(np.array([True, True, False]), np.array([True, False, False]))
    >>> change.gained, change.lost, change.is_within_chance
    (0, 1, True)
    """
    n = len(before)
    if n == 0:
        return Change(0, 0, math.nan, -1.0, 1.0)
    gained, lost = int((after & ~before).sum()), int((before & ~after).sum())
    total = n + 2
    centre = (gained - lost) / total
    half = _Z * math.sqrt(max((gained + lost + 1) - (gained - lost) ** 2 / total, 0.0)) / total
    return Change(gained, lost, (gained - lost) / n, max(centre - half, -1.0), min(centre + half, 1.0))


def change_between(
    table: RobustnessTable, view: AttackView, first: str, second: str, threat_model: str
) -> Change | None:
    """Compare two systems under one attack, or return None where one has no result."""
    rows = [view.row(name, threat_model) for name in (first, second)]
    if any(row is None or row.is_error or row.n == 0 for row in rows):
        return None
    right = [table.standing(table.rows.index(row)) for row in rows if row is not None]
    return paired_change(right[0], right[1])


def worst_change(table: RobustnessTable, norm: str, first: str, second: str) -> Change | None:
    """Compare what stands against all attacks of a norm, each within its budget.

    Returns:
        The change; None where the two have not met the same attacks, or fewer than two.
    """
    numbers = [valid_numbers(table, name, norm) for name in (first, second)]
    met = [
        {(table.rows[number].key, table.rows[number].threat_model) for number in found} for found in numbers
    ]
    if met[0] != met[1] or len(met[0]) < 2:
        return None
    before, after = (_standing(table, found) for found in numbers)
    return paired_change(before, after)


def _standing(table: RobustnessTable, numbers: Sequence[int]) -> NDArray[np.bool_]:
    """Tell which images stand against each row of a system, and without an attack."""
    standing: NDArray[np.bool_] = np.all([table.standing(number) for number in numbers], axis=0)
    return standing
