"""How many neurons may win, and how far they inhibit: the paper's numbers, or sensible ones elsewhere."""

import math
from typing import NamedTuple

from sleepdefense.consolidation.config import PerStage, SleepConfig
from sleepdefense.consolidation.plasticity import PlasticStage
from sleepdefense.errors import ConfigError

TABLE_3_K = (5, 5, 8, 1)
TABLE_3_RADIUS = (3, 2, 1, 0)
_SHARE_OF_UNITS = 4
_CONVOLUTION_K = 5


class Contest(NamedTuple):
    """Rules of the competition in one stage."""

    k: int
    radius: int


def contests(stages: tuple[PlasticStage, ...], config: SleepConfig) -> dict[str, Contest]:
    """Return the competition of every stage that can sleep.

    Without settings, an encoder of four convolutions takes k = 5, 5, 8, 1 and radius = 3, 2, 1, 0. Elsewhere
    a convolution takes k = 5 and radius = round(log2(its smaller side in pixels)) - 2, between 0 and 3, which
    for sides of 28, 16, 8 and 4 pixels is the paper's; a linear map takes a quarter of its units, radius 0.

    Args:
        stages: All that can sleep, first to last.
        config: `k` and `radius`.

    Raises:
        ConfigError: A tuple has another length than there are stages.

    Source:
        Talafha et al. 2023, Table 3; docs/decisions.md, "Sleep".
    """
    table = _is_table_3(stages)
    k = spread("k", config.k, stages) or (TABLE_3_K if table else tuple(map(_default_k, stages)))
    radius = spread("radius", config.radius, stages) or (
        TABLE_3_RADIUS if table else tuple(map(_default_radius, stages))
    )
    return {stage.name: Contest(most, reach) for stage, most, reach in zip(stages, k, radius, strict=True)}


def spread(name: str, value: PerStage, stages: tuple[PlasticStage, ...]) -> tuple[int, ...]:
    """Return one value for each stage; none if nothing is set."""
    if value is None:
        return ()
    if isinstance(value, int):
        return (value,) * len(stages)
    if len(value) != len(stages):
        names = ", ".join(stage.name for stage in stages)
        raise ConfigError(
            f"sleep.{name} has {len(value)} values, expected one for each of the {len(stages)} stages that "
            f"can sleep: {names}"
        )
    return value


def _is_table_3(stages: tuple[PlasticStage, ...]) -> bool:
    return len(stages) == len(TABLE_3_K) and all(math.prod(stage.kernel[2:]) > 1 for stage in stages)


def _default_k(stage: PlasticStage) -> int:
    if math.prod(stage.hidden[1:]) > 1:
        return _CONVOLUTION_K
    return max(1, stage.hidden[0] // _SHARE_OF_UNITS)


def _default_radius(stage: PlasticStage) -> int:
    side = min(stage.hidden[1:])
    return min(3, max(0, round(math.log2(side)) - 2))
