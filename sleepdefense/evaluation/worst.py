"""All attacks of a norm at once, image by image."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sleepdefense.evaluation.metrics import within
from sleepdefense.evaluation.rows import WorstCase, count_standing

if TYPE_CHECKING:
    from sleepdefense.evaluation.results import RobustnessTable

ALL = "all"


def worst_cases(
    table: "RobustnessTable", threat_model: str, *, epsilon: float | None = None
) -> tuple[WorstCase, ...]:
    """Take all attacks of a threat model together, as `RobustnessTable.worst_case` says."""
    groups: dict[tuple[str, str], list[int]] = {}
    for number, row in enumerate(table.rows):
        is_asked = row.threat_model == threat_model or (threat_model == ALL and row.norm != "none")
        if is_asked and row.attack != "clean":
            groups.setdefault((row.system, row.norm), []).append(number)
    return tuple(
        _worst_of(table, threat_model, system, norm, numbers, epsilon)
        for (system, norm), numbers in groups.items()
    )


def _worst_of(
    table: "RobustnessTable",
    threat_model: str,
    system: str,
    norm: str,
    numbers: Sequence[int],
    epsilon: float | None,
) -> WorstCase:
    """Take the attacks of some rows together."""
    valid = [number for number in numbers if table.rows[number].is_whole]
    nearest: NDArray[np.float64] = table.distance[valid].min(0) if valid else np.empty(0)
    if epsilon is not None and norm != "none":
        standing = ~within(nearest, epsilon)
    else:
        clean = table.number(system, "clean")
        standing = np.all([table.standing(number) for number in (*valid, clean)], axis=0)
    count = count_standing(standing if valid else np.empty(0, bool), nearest)
    return WorstCase(
        system=system,
        threat_model=threat_model,
        norm=norm,
        attacks=tuple(table.rows[number].attack for number in valid),
        left_out=tuple(table.rows[number].attack for number in numbers if number not in valid),
        n=count.n,
        correct=count.correct,
        accuracy=count.accuracy,
        lower=count.lower,
        upper=count.upper,
        median_distance=count.median_distance,
    )
