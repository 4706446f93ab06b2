"""How strongly a layer learns, and when it has had enough.

The dose of a layer is the length of its way, rho = |W - W0| / |W0|: the same for all layers, whatever images,
steps and winners it takes, so that sleeps can be compared with each other and with controls.
"""

import math
from collections.abc import Sequence

import numpy as np

from sleepdefense.consolidation.config import SleepConfig
from sleepdefense.consolidation.plasticity import PlasticStage
from sleepdefense.consolidation.weight_dependence import FloatArray
from sleepdefense.errors import SleepError


def norm(weight: FloatArray) -> float:
    """Return the root of the sum of squares, summed in an order that no thread count changes."""
    return math.sqrt(float(np.sum(np.square(weight))))


def find_strength(
    stage: PlasticStage, directions: Sequence[FloatArray], origin: FloatArray, config: SleepConfig
) -> float:
    """Return the factor on a rule that lets a layer reach its dose in about `target_batches`.

    The change of one batch has a part that all batches share, of length mu, and one of its own, of length
    sigma. After n batches of strength s the layer has moved by about

        s * sqrt(n^2 mu^2 + n sigma^2),

    which is set to rho |W0| at n = `target_batches`, and s is lowered where a single batch would move the
    layer by more than `max_batch_change` |W0|.

    Args:
        stage: For the error message.
        directions: Change of the weights by each of the first batches at strength 1.
        origin: W0.
        config: The dose.

    Returns:
        Strength, dimensionless, > 0.

    Raises:
        SleepError: No weight moves.
    """
    lengths = [norm(direction) for direction in directions]
    if not any(lengths):
        raise SleepError(
            f"stage {stage.name!r} spikes, but no weight of it can move: each is 0, or the largest of its "
            "layer. Train the network first, or take another 'weight_dependence'."
        )
    if config.strength is not None:
        return config.strength
    start = norm(origin)
    most = math.inf if config.max_batch_change is None else config.max_batch_change * start / max(lengths)
    if config.rho is None:
        return most
    count, batches = len(lengths), config.target_batches
    square = math.fsum(length**2 for length in lengths) / count
    shared = square
    if count > 1:
        total = norm(np.sum(directions, axis=0)) ** 2
        shared = min(square, max(0.0, (total - count * square) / (count * (count - 1))))
    way = math.sqrt(batches**2 * shared + batches * (square - shared))
    return min(most, config.rho * start / way)
