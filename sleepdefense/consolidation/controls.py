"""What else does as much to the weights as a sleep: the same dose, layer by layer, without sleep.

Whatever a sleep is said to achieve must not be achieved by these. Each takes the network before and after a
sleep, and returns one whose layers moved from `before` by exactly as much as the sleep moved them.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sleepdefense.consolidation.dose import norm
from sleepdefense.consolidation.dreaming import with_masters
from sleepdefense.consolidation.weight_dependence import FloatArray
from sleepdefense.spiking.network import SpikingNetwork

Control = Callable[[SpikingNetwork, SpikingNetwork, int], SpikingNetwork]
_Change = Callable[[FloatArray, FloatArray, np.random.Generator], FloatArray]


def gaussian(before: SpikingNetwork, after: SpikingNetwork, seed: int) -> SpikingNetwork:
    """Return `before` with random Gaussian changes of the sleep's length.

    Args:
        before: The network before its sleep.
        after: The same after it.
        seed: Of the random numbers, >= 0; those of a layer depend on this and its name only.
    """
    return _controlled(before, after, seed, _gaussian)


def shuffled(before: SpikingNetwork, after: SpikingNetwork, seed: int) -> SpikingNetwork:
    """Return `before` with the sleep's own changes, permuted within each layer; arguments as above."""
    return _controlled(before, after, seed, lambda origin, change, draw: draw.permuted(change.ravel()))


def anti(before: SpikingNetwork, after: SpikingNetwork, seed: int) -> SpikingNetwork:
    """Return `before` with the opposite of the sleep's changes; arguments as above, nothing is random."""
    return _controlled(before, after, seed, lambda origin, change, draw: -change)


def shrink(before: SpikingNetwork, after: SpikingNetwork, seed: int) -> SpikingNetwork:
    """Return `before` with all weights of a layer made smaller by one factor; nothing is random."""
    return _controlled(before, after, seed, _shrink)


def prune(before: SpikingNetwork, after: SpikingNetwork, seed: int) -> SpikingNetwork:
    """Return `before` with the smallest weights set to zero, as many as the sleep's length buys.

    The last of them is only made smaller, so that the length is exact; nothing is random.
    """
    return _controlled(before, after, seed, _prune)


CONTROLS: dict[str, Control] = {
    "gaussian": gaussian,
    "shuffled": shuffled,
    "anti": anti,
    "shrink": shrink,
    "prune": prune,
}


def _controlled(before: SpikingNetwork, after: SpikingNetwork, seed: int, make: _Change) -> SpikingNetwork:
    masters: dict[str, NDArray[np.float32]] = {}
    for name, weight in after.weights.items():
        origin = before.weights[name].double().cpu().numpy()
        change = weight.double().cpu().numpy() - origin
        if not change.any():
            continue
        generator = np.random.Generator(np.random.PCG64([seed, *name.encode()]))
        other = make(origin, change, generator).reshape(origin.shape)
        masters[name] = (origin + other).astype(np.float32)
    return with_masters(before, masters)


def _gaussian(origin: FloatArray, change: FloatArray, draw: np.random.Generator) -> FloatArray:
    noise = draw.standard_normal(origin.shape)
    return noise * (norm(change) / norm(noise))


def _shrink(origin: FloatArray, change: FloatArray, draw: np.random.Generator) -> FloatArray:
    return -origin * (norm(change) / norm(origin))


def _prune(origin: FloatArray, change: FloatArray, draw: np.random.Generator) -> FloatArray:
    flat = origin.ravel()
    order = np.argsort(np.abs(flat), kind="stable")
    squares = np.cumsum(np.square(flat[order]))
    budget = norm(change) ** 2
    count = int(np.searchsorted(squares, budget, side="right"))
    pruned = np.zeros_like(flat)
    pruned[order[:count]] = -flat[order[:count]]
    if count < len(flat):
        rest = budget - (squares[count - 1] if count > 0 else 0.0)
        last = order[count]
        pruned[last] = -np.sign(flat[last]) * np.sqrt(max(0.0, rest))
    return pruned
