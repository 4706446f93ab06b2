"""Transposed convolutions of stride 2 with fewer multiplications: Toom and Cook's way, known as Winograd's.

Every second pixel of the result is a convolution of its own: the even ones with the taps 4, 2, 0 of a kernel
of five, the odd ones with the taps 3, 1. t neighbours of such a convolution with r taps are the dual of a
product of polynomials, which is known from its values at t + r - 1 points; so they cost t + r - 1
multiplications and not t r. In floats the error grows with the points, which therefore are at most five and
infinity.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

KERNEL: Final = 5
"""Taps of the kernels."""

PADDING: Final = 2
"""What is cut off at either side of the full result."""

_TILE: Final = 4
_POINTS: Final = (0, 1, -1, 2, -2)
_Matrix = list[list[Fraction]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bilinear:
    """A transposed convolution along one axis as products of sums.

        result = outputs ((inputs x) * (taps kernel)[kind])

    with * number by number. Along two axes each matrix works from both sides.

    Attributes:
        outputs: (result, product), float64.
        inputs: (product, pixel), float64.
        kind: Which value of the kernel each product takes, (product,).
        taps: (kind, tap), float64.
    """

    outputs: NDArray[np.float64]
    inputs: NDArray[np.float64]
    kind: NDArray[np.int64]
    taps: NDArray[np.float64]


def bilinear_upsampling(small: int, large: int) -> Bilinear:
    """Return the transposed convolution of `small` pixels to `large` ones: 5 taps, stride 2, padding 2.

        result[2 i - 2 + k] += kernel[k] x[i]

    Args:
        small: Pixels, >= 1.
        large: Pixels of the result, 2 small - 1 or 2 small.
    """
    products: list[tuple[list[Fraction], list[Fraction], tuple[Fraction, ...]]] = []
    for parity, taps in ((0, (4, 2, 0)), (1, (3, 1))):
        place = 0
        for tile in _tiles(len(range(parity, large, 2))):
            outputs, values, inputs = _correlation(tile, len(taps))
            for number in range(len(inputs)):
                seen, made, kernel = [Fraction(0)] * small, [Fraction(0)] * large, [Fraction(0)] * KERNEL
                for offset, weight in enumerate(inputs[number]):
                    pixel = place + offset + parity - 1
                    if 0 <= pixel < small:
                        seen[pixel] = weight
                for offset in range(tile):
                    made[2 * (place + offset) + parity] = outputs[offset][number]
                for tap, weight in zip(taps, values[number], strict=True):
                    kernel[tap] = weight
                products.append((made, seen, tuple(kernel)))
            place += tile
    kinds = list(dict.fromkeys(kernel for _, _, kernel in products))
    return Bilinear(
        outputs=_floats([made for made, _, _ in products]).T,
        inputs=_floats([seen for _, seen, _ in products]),
        kind=np.array([kinds.index(kernel) for _, _, kernel in products], dtype=np.int64),
        taps=_floats([list(kernel) for kernel in kinds]),
    )


def _tiles(count: int) -> list[int]:
    """Cut a number into as few parts of at most four as there can be, as equal as they can be.

    >>> _tiles(7), _tiles(9)
    ([4, 3], [3, 3, 3])
    """
    parts = -(-count // _TILE)
    return [count // parts + (number < count % parts) for number in range(parts)]


def _correlation(count: int, taps: int) -> tuple[_Matrix, _Matrix, _Matrix]:
    """Return matrices A, G and B with sum of g[t] d[j + t] over t = A ((G g) * (B d))[j], for j < count."""
    size = count + taps - 1
    inverse = _inverse(_values(size, size))
    outputs = _values(size, count)
    return (
        [[outputs[point][j] for point in range(size)] for j in range(count)],
        _values(size, taps),
        [[inverse[coefficient][point] for coefficient in range(size)] for point in range(size)],
    )


def _values(points: int, coefficients: int) -> _Matrix:
    """Return the matrix that gives a polynomial's values at some points, the last of which is infinity."""
    finite = [[Fraction(point) ** power for power in range(coefficients)] for point in _POINTS[: points - 1]]
    return [*finite, [Fraction(power == coefficients - 1) for power in range(coefficients)]]


def _inverse(matrix: _Matrix) -> _Matrix:
    """Invert a matrix by elimination."""
    size = len(matrix)
    rows = [[*row, *(Fraction(i == j) for j in range(size))] for i, row in enumerate(matrix)]
    for place in range(size):
        pivot = next(row for row in range(place, size) if rows[row][place] != 0)
        rows[place], rows[pivot] = rows[pivot], rows[place]
        rows[place] = [value / rows[place][place] for value in rows[place]]
        for row in range(size):
            if row != place:
                factor = rows[row][place]
                rows[row] = [a - factor * b for a, b in zip(rows[row], rows[place], strict=True)]
    return [row[size:] for row in rows]


def _floats(matrix: _Matrix) -> NDArray[np.float64]:
    return np.array([[float(value) for value in row] for row in matrix])
