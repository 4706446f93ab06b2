"""How the counts of a batch move one layer: compiled for the rules of the package, in NumPy for others."""

import abc
from typing import Any, cast, final

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from sleepdefense.consolidation.mirror import as_rows, from_rows
from sleepdefense.consolidation.rules import RULES, AbstractPairingRule, AbstractRule
from sleepdefense.consolidation.weight_dependence import FloatArray
from sleepdefense.kernels import (
    WeightDependence,
    apply_changes_,
    find_changes_,
    sum_squares,
    update_rule,
)

Counts = NDArray[np.int32]
Features = NDArray[np.int64]


class AbstractMover(abc.ABC):
    """Finds the change of a layer, and then applies it. All arrays are rows, (feature, synapse).

    Attributes:
        moves_all: It may move features without counts, too.
    """

    moves_all: bool

    @abc.abstractmethod
    def find(
        self, weight: NDArray[np.float32], potentiation: Counts, depression: Counts, features: Features
    ) -> FloatArray:
        """Find the change at strength 1, and keep it.

        Args:
            weight: Of the moment.
            potentiation: Counts of the batch.
            depression: The same.
            features: Those with counts, ascending.

        Returns:
            The sum of its squares of each feature, (feature,).
        """

    @abc.abstractmethod
    def apply_(self, weight: NDArray[np.float32], features: Features, step: float) -> None:
        """Move the weights, in place, by `step` times the change that was found, within their bounds.

        Args:
            weight: Of the moment, as it was given to `find`.
            features: As they were given to `find`; no other is touched.
            step: Factor, dimensionless.
        """


def mover_for(rule: AbstractRule, origin: NDArray[np.float32], *, is_twin: bool) -> AbstractMover:
    """Return the mover of a layer.

    Args:
        rule: Counts to changes.
        origin: Weights before the sleep, as the layer lays them out.
        is_twin: It is a mirror twin.
    """
    if type(rule) in RULES.values():  # not isinstance: a subclass may learn in another way
        return CompiledMover(cast(AbstractPairingRule, rule), origin, is_twin=is_twin)
    return PlainMover(rule, origin, is_twin=is_twin)


@final
class CompiledMover(AbstractMover):
    """Moves by the kernels; features without counts cost nothing."""

    def __init__(self, rule: AbstractPairingRule, origin: NDArray[np.float32], *, is_twin: bool) -> None:
        self.moves_all = False
        self._origin = as_rows(origin, is_twin=is_twin)
        self._change = np.zeros(self._origin.shape)
        self._rule = update_rule(
            cast(WeightDependence, rule.weight_dependence),
            origin,
            a_plus=rule.a_plus,
            a_minus=rule.a_minus,
            gain=rule.twin_gain() if is_twin else 1.0,
        )

    @override
    def find(
        self, weight: NDArray[np.float32], potentiation: Counts, depression: Counts, features: Features
    ) -> FloatArray:
        return find_changes_(self._change, weight, potentiation, depression, features, self._rule)

    @override
    def apply_(self, weight: NDArray[np.float32], features: Features, step: float) -> None:
        apply_changes_(weight, self._origin, self._change, features, step, self._rule)


@final
class PlainMover(AbstractMover):
    """Moves by any rule, whatever it does, in NumPy."""

    def __init__(self, rule: AbstractRule, origin: NDArray[np.float32], *, is_twin: bool) -> None:
        self.moves_all = True
        self._rule = rule
        self._origin = origin.astype(np.float64)
        self._is_twin = is_twin
        self._change = np.zeros(origin.shape)

    @override
    def find(
        self, weight: NDArray[np.float32], potentiation: Counts, depression: Counts, features: Features
    ) -> FloatArray:
        self._change = self._rule.direction(
            self._laid_out(weight).astype(np.float64),
            self._origin,
            self._laid_out(potentiation),
            self._laid_out(depression),
        )
        if self._is_twin:
            self._change = self._rule.twin_gain() * self._change
        return sum_squares(as_rows(self._change, is_twin=self._is_twin))

    @override
    def apply_(self, weight: NDArray[np.float32], features: Features, step: float) -> None:
        moved = self._laid_out(weight) + step * self._change
        weight[:] = as_rows(self._rule.confine(moved, self._origin), is_twin=self._is_twin)

    def _laid_out(self, rows: NDArray[Any]) -> NDArray[Any]:
        return from_rows(rows, self._origin.shape, is_twin=self._is_twin)
