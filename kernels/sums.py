"""The one order in which floats are summed: eight lanes, which are one register of the processor.

Number i is added to lane i mod 8, as long as eight at a time remain. Then the lanes are added, two by two,
and what was left over at the end:

    (((0 + 1) + (2 + 3)) + ((4 + 5) + (6 + 7))) + rest

Rounding makes a sum of floats depend on its order. This one is fixed by the numbers alone.
"""

import numpy as np
from numpy.typing import NDArray

from sleepdefense.kernels._checks import check_array
from sleepdefense.kernels._jit import kernel


@kernel
def lane_sum(value: NDArray[np.float64]) -> float:
    """Sum numbers, (number,)."""
    a, b, c, d, e, f, g, h = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    whole = value.size // 8 * 8
    for i in range(0, whole, 8):
        a += value[i]
        b += value[i + 1]
        c += value[i + 2]
        d += value[i + 3]
        e += value[i + 4]
        f += value[i + 5]
        g += value[i + 6]
        h += value[i + 7]
    rest = 0.0
    for i in range(whole, value.size):
        rest += value[i]
    return (((a + b) + (c + d)) + ((e + f) + (g + h))) + rest


@kernel
def lane_dot(left: NDArray[np.float64], right: NDArray[np.float64]) -> float:
    """Sum the products of two arrays, (number,) each."""
    a, b, c, d, e, f, g, h = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    whole = left.size // 8 * 8
    for i in range(0, whole, 8):
        a += left[i] * right[i]
        b += left[i + 1] * right[i + 1]
        c += left[i + 2] * right[i + 2]
        d += left[i + 3] * right[i + 3]
        e += left[i + 4] * right[i + 4]
        f += left[i + 5] * right[i + 5]
        g += left[i + 6] * right[i + 6]
        h += left[i + 7] * right[i + 7]
    rest = 0.0
    for i in range(whole, left.size):
        rest += left[i] * right[i]
    return (((a + b) + (c + d)) + ((e + f) + (g + h))) + rest


@kernel
def _sum_squares_(square: NDArray[np.float64], value: NDArray[np.float64]) -> None:
    """Write the sum of squares of each row."""
    for row in range(value.shape[0]):
        square[row] = lane_dot(value[row], value[row])


def sum_squares(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sum of squares of each row, (row,).

    Args:
        value: (row, column), float64, C-contiguous.

    Raises:
        ValueError: The array has another type or shape.
    """
    check_array("value", value, np.float64, "row column")
    square = np.empty(len(value))
    _sum_squares_(square, value)
    return square


def total(value: NDArray[np.float64]) -> float:
    """Return the sum of some numbers, (number,), float64.

    Raises:
        ValueError: The array has another type or shape.
    """
    check_array("value", value, np.float64, "number")
    return float(lane_sum(value))
