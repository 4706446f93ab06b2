"""Where a sleep stands: the weights of the moment, and what is known about them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sleepdefense.consolidation.dreaming import Masters


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Course:
    """Where a sleep stands.

    Only the first two decide how it goes on; the others follow from them, or tell of the last batch.

    Attributes:
        masters: Weight of each layer that moves: stages and their twins. Views of what a `Consolidator` keeps
            twice: they are valid until it has made the second course after this one.
        finished: Layers that have had their dose and stay.
        brakes: Stage -> the fraction of its strength that its last batch could use, in (0, 1].
        changes: Layer -> |W - W0| / |W0|, dimensionless.
        counters: Stage -> what is known about its features, (feature, counter); see `kernels.counters`.
        moved: Stage -> features that the last batch may have moved, ascending.
    """

    masters: Masters
    finished: frozenset[str]
    brakes: Mapping[str, float] = field(default_factory=dict)
    changes: Mapping[str, float] = field(default_factory=dict)
    counters: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    moved: Mapping[str, NDArray[np.signedinteger[Any]]] = field(default_factory=dict)
