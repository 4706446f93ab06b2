"""A small sparse matrix from both sides of many images at once: S X S'.

The images lie pixel by pixel: all that belongs to one pixel, such as the channels of a batch, lies together,
so that 64 numbers at a time go through both products, and what is between the two never leaves the first
cache.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from sleepdefense.kernels._checks import check_array
from sleepdefense.kernels._emit import LANES
from sleepdefense.kernels._jit import Integer, kernel
from sleepdefense.kernels._weigh import weigh_rows_

LEAST_LANES: Final = LANES
"""Numbers of one pixel that there must be."""


@kernel
def _sandwich_(
    out: NDArray[np.float32],
    out_place: NDArray[np.int64],
    source: NDArray[np.float32],
    source_place: NDArray[np.int64],
    start: NDArray[np.int64],
    half_place: NDArray[np.int64],
    weight: NDArray[np.float32],
    width: Integer,
    lanes: Integer,
    first_block: Integer,
    last_block: Integer,
) -> None:
    """Multiply from the left, one row at a time, and that row at once from the right."""
    half = np.empty(width * LANES, np.float32)
    rows = start.size - 1
    for block in range(first_block, last_block):
        first = min(block * LANES, lanes - LANES)  # the last block overlaps the one before it
        for above in range(rows):
            begin, count = start[above], start[above + 1] - start[above]
            for j in range(width):
                place = begin * width + j
                weigh_rows_(half, j * LANES, source, first, source_place, place, width, weight, begin, count)
            for beside in range(rows):
                begin, count = start[beside], start[beside + 1] - start[beside]
                place = out_place[above * rows + beside] + first
                weigh_rows_(out, place, half, 0, half_place, begin, 1, weight, begin, count)


class Sandwich:
    """The product S X S' with one matrix S for images of one size.

    Args:
        matrix: S, (row, column), float64; its zeros are skipped.
        lanes: Numbers of one pixel, >= 64.
        source_order: Where the pixels of X lie, (column * column,): (i, j) at source_order[i * column + j];
            None: in this order.
        out_order: The same for the result, (row * row,).

    Raises:
        ValueError: There are fewer than 64 lanes.
    """

    def __init__(
        self,
        matrix: NDArray[np.float64],
        lanes: int,
        *,
        source_order: NDArray[np.int64] | None = None,
        out_order: NDArray[np.int64] | None = None,
    ) -> None:
        if lanes < LEAST_LANES:
            raise ValueError(f"'lanes' must be at least {LEAST_LANES}, got {lanes}: give larger batches")
        rows, self._width = matrix.shape
        self._lanes = lanes
        row, column = np.nonzero(matrix)
        source_order = np.arange(self._width**2) if source_order is None else source_order
        out_order = np.arange(rows**2) if out_order is None else out_order
        self._start = np.searchsorted(row, np.arange(rows + 1)).astype(np.int64)
        self._weight = matrix[row, column].astype(np.float32)
        self._half_place = column.astype(np.int64) * LANES
        self._source_place = source_order.reshape(self._width, -1)[column].ravel().astype(np.int64) * lanes
        self._out_place = out_order.astype(np.int64) * lanes
        self._sizes = source_order.size * lanes, out_order.size * lanes

    def __call__(
        self, out: NDArray[np.float32], source: NDArray[np.float32], *, part: tuple[int, int] = (0, 1)
    ) -> None:
        """Write S X S' into `out`.

        Args:
            out: (row * row * lane,), float32.
            source: X, (column * column * lane,), float32; another memory than `out`.
            part: (i, n): only the i-th of n parts of the lanes, for n threads. They may all run at once.

        Raises:
            ValueError: An array has another type or size.
        """
        for name, array, size in (("source", source, self._sizes[0]), ("out", out, self._sizes[1])):
            check_array(name, array, np.float32, "number")
            if array.size != size:
                raise ValueError(f"'{name}' must hold {size} numbers, got {array.size}")
        blocks = -(-self._lanes // LANES)
        _sandwich_(
            out,
            self._out_place,
            source,
            self._source_place,
            self._start,
            self._half_place,
            self._weight,
            self._width,
            self._lanes,
            blocks * part[0] // part[1],
            blocks * (part[0] + 1) // part[1],
        )
