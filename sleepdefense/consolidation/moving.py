"""One layer on its way: the weights of the moment, their counters, and room for the next weights."""

import math
from typing import final

import numpy as np
from numpy.typing import NDArray

from sleepdefense.consolidation.mirror import as_rows, from_rows
from sleepdefense.consolidation.mover import Counts, Features, mover_for
from sleepdefense.consolidation.rules import AbstractRule
from sleepdefense.kernels import measure_features_, sum_squares, total

_DISTANCE = 0  # the counter that holds the sum of (w - w0)^2 of a feature
_NUM_COUNTERS = 6


@final
class MovingLayer:
    """A stage or its mirror twin; rows are the features of the stage, (feature, synapse).

    The weights are there twice. A batch writes into the copy that is not valid, after it has been given the
    few rows in which it lags behind; so the weights before the batch stay whole, and nothing is copied that
    did not change.

    Args:
        origin: Weights before the sleep, as the layer lays them out.
        rule: Counts to changes.
        is_twin: It is a mirror twin, of which only the distance is counted.

    Attributes:
        length: |W0|.
        counter: Of each feature, (feature, counter), a new array for each batch.
        change: |W - W0| / |W0|, dimensionless; 0 for a layer without weights other than 0.
    """

    def __init__(self, origin: NDArray[np.float32], rule: AbstractRule, *, is_twin: bool) -> None:
        self._shape = origin.shape
        self._is_twin = is_twin
        self._origin = as_rows(origin, is_twin=is_twin)
        self._mover = mover_for(rule, origin, is_twin=is_twin)
        self._every = np.arange(len(self._origin), dtype=np.int64)
        self._centre = 0.0 if is_twin else float(np.mean(origin, dtype=np.float64))
        self.length = math.sqrt(total(sum_squares(self._origin.astype(np.float64))))
        self.begin(origin)

    def begin(self, master: NDArray[np.float32]) -> None:
        """Take these weights, as the layer lays them out; they are copied."""
        self._rows = as_rows(master, is_twin=self._is_twin).copy()
        self._draft = self._rows.copy()
        self._lagging = self._every[:0]
        self.counter = np.zeros((len(self._rows), 1 if self._is_twin else _NUM_COUNTERS))
        self._measure(self._every)

    @property
    def master(self) -> NDArray[np.float32]:
        """The weights of the moment as the layer lays them out, a view; valid until the second `move_`."""
        return from_rows(self._rows, self._shape, is_twin=self._is_twin)

    def find(self, potentiation: Counts, depression: Counts, features: Features) -> tuple[float, Features]:
        """Find the change that a batch asks for.

        Args:
            potentiation: Counts, (feature, synapse).
            depression: The same.
            features: Those with counts, ascending.

        Returns:
            Its length at strength 1, and the features that it moves.
        """
        moved = self._every if self._mover.moves_all else features
        square = self._mover.find(self._rows, potentiation, depression, moved)
        return math.sqrt(total(square)), moved

    def move_(self, features: Features, step: float) -> None:
        """Move by `step` times the change that was found for these features."""
        self._draft[self._lagging] = self._rows[self._lagging]
        self._lagging = features
        self._mover.apply_(self._draft, features, step)
        self._rows, self._draft = self._draft, self._rows
        self.counter = self.counter.copy()
        self._measure(features)

    def shorten_(self, factor: float) -> None:
        """Take what `move_` made back on the straight line to the origin: W0 + factor (W - W0)."""
        start = self._origin.astype(np.float64)
        self._rows[:] = start + factor * (self._rows - start)
        self._lagging = self._every
        self._measure(self._every)

    def _measure(self, features: Features) -> None:
        measure_features_(self.counter, self._rows, self._origin, features, centre=self._centre)
        distance = math.sqrt(total(np.ascontiguousarray(self.counter[:, _DISTANCE])))
        self.change = distance / self.length if self.length > 0 else 0.0
