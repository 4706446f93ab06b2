"""Weights as they act: rounded to whole units of their grid, feature by feature."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from sleepdefense.kernels._checks import check_array, check_in_place, check_integer
from sleepdefense.kernels._jit import Integer, kernel
from sleepdefense.kernels.sums import lane_sum
from sleepdefense.kernels.update import check_features

LARGEST: Final = 0
"""Reach: the largest |w|."""
TOTAL: Final = 1
"""Reach: the sum of |w|."""
MAPPED_TOTAL: Final = 2
"""Reach: the sum of u, the weight mapped to [0, 1]; that of |w| where nothing is mapped."""


@kernel
def _largest_pattern(pattern: NDArray[np.int32]) -> Integer:
    """Return the largest pattern of bits but for its first; floats without sign are ordered as these are.

    The compiler searches integers in many lanes at once, and floats, because of NaN, one by one.
    """
    largest = np.int64(0)
    for i in range(pattern.size):
        largest = max(largest, np.int64(pattern[i] & np.int32(0x7FFFFFFF)))
    return largest


@kernel
def _round_features_(
    unit: NDArray[np.int32],
    reach: NDArray[np.float64],
    weight: NDArray[np.float32],
    feature: NDArray[np.int64],
    scale: float,
    low: float,
    span: float,
    is_mapped: bool,
) -> None:
    """Round the listed features; `scale` is 2**grid_bits."""
    acts, largest = np.empty(weight.shape[1]), np.empty(1, dtype=np.int32)
    for n in range(feature.size):
        row, pattern = weight[feature[n]], weight[feature[n]].view(np.int32)
        to, far = unit[feature[n]], reach[feature[n]]
        largest[0] = _largest_pattern(pattern)
        far[LARGEST] = largest.view(np.float32)[0]
        for i in range(row.size):
            acts[i] = abs(np.float64(row[i]))
        far[TOTAL] = far[MAPPED_TOTAL] = lane_sum(acts)
        if is_mapped:
            for i in range(row.size):  # u = (w - lo) / (hi - lo), clipped to [0, 1] and rounded to float32
                acts[i] = np.float32(min(max((row[i] - low) / span, 0.0), 1.0))
            far[MAPPED_TOTAL] = lane_sum(acts)
        else:
            for i in range(row.size):
                acts[i] = row[i]
        for i in range(row.size):
            to[i] = np.int32(np.rint(acts[i] * scale))


def round_features_(
    unit: NDArray[np.int32],
    reach: NDArray[np.float64],
    weight: NDArray[np.float32],
    feature: NDArray[np.int64],
    *,
    grid_bits: int,
    bounds: tuple[float, float] | None = None,
) -> None:
    """Write, in place, the weights of the listed features in units of their grid, and how far these reach.

        unit = round(w * 2**grid_bits), half to even

    Args:
        unit: (feature, synapse), int32. Changed in the listed rows.
        reach: (feature, 3), float64: the largest |w|, the sum of |w|, and the sum of what is rounded. Changed
            likewise. By these the grid is chosen.
        weight: Weights now, (feature, synapse), float32.
        feature: Ascending, (listed,), int64.
        grid_bits: In [0, 30], and so that every weight fits 32 bits.
        bounds: (lo, hi): u = (w - lo) / (hi - lo), clipped to [0, 1], is rounded in the place of w.

    Raises:
        ValueError: An array has another type or shape, `feature` does not ascend, or hi <= lo.

    >>> unit, reach = np.zeros((1, 3), dtype=np.int32), np.zeros((1, 3))
    >>> weight = np.array([[0.75, -0.375, 0.3]], dtype=np.float32)
    >>> round_features_(unit, reach, weight, np.array([0]), grid_bits=2)
    >>> unit
    array([[ 3, -2,  1]], dtype=int32)
    """
    check_array("weight", weight, np.float32, "feature synapse")
    check_array("unit", unit, np.int32, "feature synapse")
    check_in_place("unit", unit, weight.shape)
    check_array("reach", reach, np.float64, "feature entry")
    check_in_place("reach", reach, (len(weight), 3))
    check_features(feature, len(weight))
    low, high = bounds or (0.0, 1.0)
    if not low < high:
        raise ValueError(f"'bounds' must be (lo, hi) with lo < hi, got {bounds}")
    scale = 2.0 ** check_integer("grid_bits", grid_bits, least=0, most=30)
    _round_features_(unit, reach, weight, feature, scale, low, high - low, bounds is not None)
