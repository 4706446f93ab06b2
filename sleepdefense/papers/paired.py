"""The difference of two systems on the same images, and how sure of it one can be."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from jaxtyping import Bool

from sleepdefense.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """By how much more one system is right than another, in points.

    Attributes:
        points: Difference of the accuracies, in [-100, 100].
        lower: Lower end of its 95 percent interval.
        upper: Upper end of it.
        gained: Images that only the first gets right.
        lost: Images that only the other gets right.
        n: Images.
    """

    points: float
    lower: float
    upper: float
    gained: int
    lost: int
    n: int

    @property
    def sign(self) -> int:
        """1 or -1 if the interval leaves out 0, else 0."""
        return (self.lower > 0) - (self.upper < 0)

    def __str__(self) -> str:
        return f"{self.points:+.1f} [{self.lower:+.1f}, {self.upper:+.1f}]"


def paired_difference(
    is_right: Bool[np.ndarray, " image"], was_right: Bool[np.ndarray, " image"], *, confidence: float = 0.95
) -> Difference:
    """Compare two systems image by image.

        p = (gained + 1) / (n + 2),    q = (lost + 1) / (n + 2),
        p - q -+ z sqrt((p + q - (p - q)^2) / (n + 2))

    Only images on which the two disagree say something, so the interval is far narrower than the difference
    of two intervals for each system alone.

    Args:
        is_right: What one system gets right, (image,).
        was_right: What the other gets right of the same images, (image,).
        confidence: In (0, 1).

    Returns:
        The difference, first minus second.

    Raises:
        ConfigError: There are no images, or not as many of both.

    Source:
        Bonett and Price 2012, "Adjusted Wald confidence interval for a difference of binomial proportions
        based on paired data".

    >>> is_right = np.array([True] * 9 + [False])
    >>> print(paired_difference(is_right, np.array([True] * 5 + [False] * 5)))
    +40.0 [-2.0, +68.6]
    """
    n = len(is_right)
    if n == 0 or len(was_right) != n:
        raise ConfigError(f"a paired difference needs the same images twice, got {n} and {len(was_right)}")
    gained, lost = int((is_right & ~was_right).sum()), int((was_right & ~is_right).sum())
    p, q = (gained + 1) / (n + 2), (lost + 1) / (n + 2)
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    half = z * math.sqrt((p + q - (p - q) ** 2) / (n + 2))
    return Difference(
        points=100 * (gained - lost) / n,
        lower=100 * max(-1.0, p - q - half),
        upper=100 * min(1.0, p - q + half),
        gained=gained,
        lost=lost,
        n=n,
    )


def count_differences(what: str, known: Mapping[str, Difference]) -> str:
    """Say in how many cells of a table something is better or worse, beyond chance.

    Args:
        what: What differs.
        known: Cell -> difference to what it is compared with, at least one.

    >>> same = paired_difference(np.array([True, False]), np.array([True, False]))
    >>> print(count_differences("Sleep", {"FGSM": same}))
    Sleep: better in 0, worse in 0, no difference beyond chance in 1 of 1 attacked cells; from
    +0.0 [-69.3, +69.3] points (FGSM) to +0.0 [-69.3, +69.3] (FGSM).
    """
    better = sum(difference.sign > 0 for difference in known.values())
    worse = sum(difference.sign < 0 for difference in known.values())
    lowest, highest = (choose(known, key=lambda cell: known[cell].points) for choose in (min, max))
    return (
        f"{what}: better in {better}, worse in {worse}, no difference beyond chance in "
        f"{len(known) - better - worse} of {len(known)} attacked cells; from {known[lowest]} points "
        f"({lowest}) to {known[highest]} ({highest})."
    )
