"""k-winners-take-all: which neurons may learn."""

import numpy as np
from numpy.typing import NDArray

from sleepdefense.kernels._checks import check_array, check_integer
from sleepdefense.kernels._jit import Integer, kernel


@kernel
def _drop_inhibited_(
    candidate: NDArray[np.int32],
    potential: NDArray[np.int64],
    num_candidates: Integer,
    winner: NDArray[np.int32],
    radius: Integer,
) -> Integer:
    """Keep, at the front, the candidates that a winner leaves over; return how many."""
    kept = np.int64(0)
    feature, row, column = winner[0], winner[1], winner[2]
    for i in range(num_candidates):
        is_near = abs(candidate[i, 1] - row) <= radius and abs(candidate[i, 2] - column) <= radius
        if candidate[i, 0] == feature or (radius > 0 and is_near):
            continue
        for j in range(4):
            candidate[kept, j] = candidate[i, j]
        potential[kept] = potential[i]
        kept += 1
    return kept


@kernel
def _is_lower(candidate: NDArray[np.int32], a: Integer, b: Integer) -> bool:
    """Say whether a has the lower (feature, row, column)."""
    for j in range(3):
        if candidate[a, j] != candidate[b, j]:
            return bool(candidate[a, j] < candidate[b, j])
    return False


@kernel
def _find_best(
    candidate: NDArray[np.int32], potential: NDArray[np.int64], num_candidates: Integer
) -> Integer:
    """Find the candidate that fired first; of several the highest; of several the lowest."""
    best = np.int64(0)
    first, highest = candidate[0, 3], potential[0]
    for i in range(1, num_candidates):
        step = candidate[i, 3]
        if step > first or (step == first and potential[i] < highest):
            continue
        if step < first or potential[i] > highest or _is_lower(candidate, i, best):
            best = np.int64(i)
            first, highest = step, potential[i]
    return best


@kernel
def _select_winners_(
    winner: NDArray[np.int32],
    num_winners: Integer,
    candidate: NDArray[np.int32],
    potential: NDArray[np.int64],
    num_candidates: Integer,
    k: Integer,
    radius: Integer,
) -> Integer:
    """Add winners behind those there are, until there are k; return how many. Uses up the candidates."""
    for earlier in range(num_winners):
        if num_winners < k:
            num_candidates = _drop_inhibited_(candidate, potential, num_candidates, winner[earlier], radius)
    while num_winners < k and num_candidates > 0:
        best = _find_best(candidate, potential, num_candidates)
        for j in range(4):
            winner[num_winners, j] = candidate[best, j]
        num_winners += 1
        if num_winners < k:
            num_candidates = _drop_inhibited_(
                candidate, potential, num_candidates, winner[num_winners - 1], radius
            )
    return num_winners


def select_winners(
    first_step: NDArray[np.int32],
    potential: NDArray[np.int64],
    *,
    num_steps: int,
    k: int,
    radius: int,
) -> NDArray[np.int32]:
    """Choose up to k neurons of one layer that may learn.

    Again and again the neuron wins that fired first; of those that fired together, the one with the highest
    potential; of equal ones, the one with the lowest (feature, row, column). After that its whole feature map
    is out, and so is, in all maps, the window of (2 * radius + 1)**2 pixels around it.

    For a competition among the neurons that fire in one step, set `first_step` to 0 for these.

    Args:
        first_step: Step of each neuron's first spike, (feature, height, width), int32, >= 0; `num_steps` or
            more for a neuron that stayed silent.
        potential: Membrane at that spike, before the reset, (feature, height, width), int64, in grid units.
        num_steps: Length of the train, in steps, >= 0.
        k: Most winners, >= 0.
        radius: Reach of the inhibition, in pixels of this layer; 0: only the feature map is inhibited.

    Returns:
        One row (feature, row, column, step) for each winner, (winner, 4), int32, in the order of selection.

    Raises:
        ValueError: An argument has another type, shape or range.

    Source:
        Talafha et al. 2023, section 3.4 and Table 3 (k, r); the order is that of Mozafari et al. 2019. That r
        is a radius and 0 means none: docs/decisions.md, "k and r".

    >>> first_step = np.array([[[3, 1]], [[1, 9]]], dtype=np.int32)   # two maps of 1 x 2 pixels
    >>> potential = np.array([[[8, 5]], [[6, 0]]], dtype=np.int64)
    >>> select_winners(first_step, potential, num_steps=9, k=2, radius=0)
    array([[1, 0, 0, 1],
           [0, 0, 1, 1]], dtype=int32)
    >>> select_winners(first_step, potential, num_steps=9, k=2, radius=1)
    array([[1, 0, 0, 1]], dtype=int32)
    """
    check_array("first_step", first_step, np.int32, "feature height width")
    check_array("potential", potential, np.int64, "feature height width")
    if potential.shape != first_step.shape:
        raise ValueError(
            f"'potential' must have the shape of 'first_step', {first_step.shape}, got {potential.shape}"
        )
    if np.min(first_step, initial=0) < 0:
        raise ValueError(
            f"'first_step' must not be negative, got {np.min(first_step)}: silent is 'num_steps'"
        )
    num_steps = check_integer("num_steps", num_steps, least=0)
    k = check_integer("k", k, least=0)
    radius = check_integer("radius", radius, least=0)
    fired = np.nonzero(first_step < num_steps)
    candidate = np.column_stack([*fired, first_step[fired]]).astype(np.int32, order="C")
    winner = np.empty((min(k, len(first_step)), 4), dtype=np.int32)
    num_winners = _select_winners_(
        winner,
        0,
        candidate,
        potential[fired],
        len(candidate),
        len(winner),
        radius,
    )
    return winner[:num_winners]
