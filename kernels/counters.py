"""What is known about the weights of each feature: how far they moved, and how they are spread."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from sleepdefense.kernels._checks import check_array, check_in_place
from sleepdefense.kernels._jit import Integer, kernel
from sleepdefense.kernels.sums import lane_dot, lane_sum
from sleepdefense.kernels.update import check_features

DISTANCE: Final = 0
"""Counter: the sum of (w - w0)^2."""
FLIPS: Final = 1
"""Counter: weights of another sign than w0; 0 has a sign of its own."""
FIRST_POWER: Final = 2
"""Counter: the sum of (w - c); the three behind it are those of its square, cube and fourth power."""
NUM_COUNTERS: Final = 6


@kernel
def _measure_features_(
    counter: NDArray[np.float64],
    weight: NDArray[np.float32],
    origin: NDArray[np.float32],
    feature: NDArray[np.int64],
    centre: float,
) -> None:
    """Measure the listed features."""
    x, square = np.empty(weight.shape[1]), np.empty(weight.shape[1])
    for n in range(feature.size):
        w, w0, to = weight[feature[n]], origin[feature[n]], counter[feature[n]]
        for i in range(w.size):
            x[i] = np.float64(w[i]) - np.float64(w0[i])
        to[DISTANCE] = lane_dot(x, x)
        if to.size == 1:
            continue
        flips = np.int64(0)
        for i in range(w.size):
            flips += np.int64((w[i] > 0.0) != (w0[i] > 0.0) or (w[i] < 0.0) != (w0[i] < 0.0))
        to[FLIPS] = flips
        for i in range(w.size):
            x[i] = np.float64(w[i]) - centre
            square[i] = x[i] * x[i]
        to[FIRST_POWER] = lane_sum(x)
        to[FIRST_POWER + 1] = lane_sum(square)
        to[FIRST_POWER + 2] = lane_dot(x, square)
        to[FIRST_POWER + 3] = lane_dot(square, square)


def measure_features_(
    counter: NDArray[np.float64],
    weight: NDArray[np.float32],
    origin: NDArray[np.float32],
    feature: NDArray[np.int64],
    *,
    centre: float = 0.0,
) -> None:
    """Write, in place, the counters of the listed features; those of the others stay.

    Sums are taken within a feature, always in the same order (`sums.py`), so that they depend on its weights
    alone: neither on what was listed before nor on any number of threads.

    Args:
        counter: (feature, 6), float64: sum of (w - w0)^2, number of flipped signs, and the sums of (w - c),
            (w - c)^2, (w - c)^3 and (w - c)^4; or (feature, 1) for the first alone. Changed.
        weight: Weights now, (feature, synapse), float32.
        origin: Weights before the sleep, w0, the same.
        feature: Features to be measured, ascending, (listed,), int64.
        centre: c, any number not far from the weights.

    Raises:
        ValueError: An array has another type or shape, or `feature` does not ascend.

    >>> counter = np.zeros((1, 6))
    >>> weight, origin = np.array([[3.0, -1.0]], np.float32), np.array([[1.0, 1.0]], np.float32)
    >>> measure_features_(counter, weight, origin, np.array([0]))
    >>> counter
    array([[ 8.,  1.,  2., 10., 26., 82.]])
    """
    check_array("counter", counter, np.float64, "feature counter")
    check_array("weight", weight, np.float32, "feature synapse")
    check_array("origin", origin, np.float32, "feature synapse")
    if counter.shape[1] not in (1, NUM_COUNTERS):
        raise ValueError(f"'counter' must have 1 or {NUM_COUNTERS} columns, got {counter.shape[1]}")
    check_in_place("counter", counter, (len(weight), counter.shape[1]))
    if origin.shape != weight.shape:
        raise ValueError(f"'origin' must have shape {weight.shape}, got {origin.shape}")
    check_features(feature, len(weight))
    _measure_features_(counter, weight, origin, feature, float(centre))


@kernel
def _sum_counts_(count: NDArray[np.int32], feature: NDArray[np.int64]) -> Integer:
    """Sum the rows of the listed features."""
    total = np.int64(0)
    for n in range(feature.size):
        row = count[feature[n]]
        for i in range(row.size):
            total += row[i]
    return total


def sum_counts(count: NDArray[np.int32], feature: NDArray[np.int64]) -> int:
    """Return the sum of the counts of the listed features.

    Args:
        count: (feature, synapse), int32.
        feature: Ascending, (listed,), int64.

    Raises:
        ValueError: An array has another type or shape, or `feature` does not ascend.
    """
    check_array("count", count, np.int32, "feature synapse")
    check_features(feature, len(count))
    return int(_sum_counts_(count, feature))
