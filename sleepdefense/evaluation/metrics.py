"""The numbers of a robustness table, and how sure of them one can be."""

import math
from statistics import NormalDist

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from sleepdefense.attacks.distance import distances as distances
from sleepdefense.errors import ConfigError


def accuracy(predicted: Int[np.ndarray, " image"], labels: Int[np.ndarray, " image"]) -> float:
    """Return the share of images whose predicted class is the true one, in [0, 1]; NaN without images."""
    return float(np.mean(predicted == labels)) if len(labels) else math.nan


def wilson_interval(correct: int, n: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Return the interval that holds the true share with the given confidence.

        (p + z^2 / 2n -+ z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n),    p = correct / n

    Unlike the textbook interval it stays in [0, 1] and does not shrink to a point at 0 or 1.

    Args:
        correct: Successes, 0 <= correct <= n.
        n: Trials, >= 0; without any nothing is known.
        confidence: In (0, 1).

    Returns:
        Lower and upper end, in [0, 1].

    Raises:
        ConfigError: A number is out of range.

    Source:
        Wilson 1927.

    >>> [round(end, 3) for end in wilson_interval(81, 100)]
    [0.722, 0.875]
    """
    if not 0 <= correct <= n or not 0 < confidence < 1:
        raise ConfigError(
            f"expected 0 <= correct <= n and 0 < confidence < 1, got {correct} of {n} at {confidence}"
        )
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = correct / n
    centre = share + z * z / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    # rounding would leave 1e-17 where the interval ends at 0 or 1 exactly
    lower = 0.0 if correct == 0 else (centre - half) / scale
    upper = 1.0 if correct == n else (centre + half) / scale
    return lower, upper


def within(moved: NDArray[np.float64], epsilon: float | None) -> NDArray[np.bool_]:
    """Tell which distances are within a budget, (image,); without a budget all that are finite.

    A budget that float32 images can only miss by rounding is kept: epsilon (1 + 1e-5).

    Args:
        moved: Distances, >= 0 or infinite; NaN is within no budget, (image,).
        epsilon: The budget, or None.
    """
    return moved < math.inf if epsilon is None else moved <= epsilon * (1 + 1e-5) + 2.0**-23


def robust_distance(
    clean_is_right: NDArray[np.bool_], attacked_is_right: NDArray[np.bool_], moved: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return how far each image had to be moved to be misclassified.

    Args:
        clean_is_right: Whether the image is classified correctly before the attack, (image,).
        attacked_is_right: Whether it still is afterwards, (image,).
        moved: How far the attack moved it, (image,).

    Returns:
        0 where the clean image is wrong already, infinity where the attack failed, else `moved`, (image,).

    Source:
        The convention of Schott et al. 2019, followed by the DIM paper.
    """
    failed = np.where(attacked_is_right, math.inf, moved)
    return np.where(clean_is_right, failed, 0.0)


def median_distance(distance: Float[np.ndarray, " image"]) -> float:
    """Return the median over images; infinity if the attack failed on more than half, NaN without images."""
    if not len(distance) or bool(np.isnan(distance).any()):
        return math.nan
    ordered = np.sort(distance)
    low, high = float(ordered[(len(ordered) - 1) // 2]), float(ordered[len(ordered) // 2])
    return low if low == high else (low + high) / 2
