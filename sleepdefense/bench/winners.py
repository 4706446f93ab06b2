"""The competition and the rule as one writes them in NumPy; for opponents that have neither."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sleepdefense.kernels import ChainLayer

A_PLUS, A_MINUS = 0.004, -0.003


def choose_winners_(score: NDArray[np.floating[Any]], *, k: int, radius: int) -> list[tuple[int, int, int]]:
    """Choose up to k winners, each with the highest score, of equal ones the lowest (feature, row, column).

    (Looking only at the neurons that fired was slower, but for the sparse spikes of a single step in the
    largest stage.)

    Args:
        score: (feature, height, width); -inf where a neuron does not compete. Used up.
        k: Most winners.
        radius: Reach of the inhibition, in pixels; 0: only the winner's own map.

    Returns:
        (feature, row, column) of each winner.
    """
    winners = []
    for _ in range(k):
        feature, row, column = (int(place) for place in np.unravel_index(score.argmax(), score.shape))
        if score[feature, row, column] == -np.inf:
            break
        winners.append((feature, row, column))
        score[feature] = -np.inf
        if radius > 0:
            top, left = max(0, row - radius), max(0, column - radius)
            score[:, top : row + radius + 1, left : column + radius + 1] = -np.inf
    return winners


def learn_(
    weight: NDArray[np.float32],
    winners: Sequence[tuple[int, int, int]],
    steps: Sequence[int],
    pre_step: NDArray[np.int32],
    layer: ChainLayer,
) -> None:
    """Change, in place, the weights of the winners: w += a w (1 - w).

    Args:
        weight: (feature, channel, kernel_h, kernel_w), in [0, 1]. Changed.
        winners: From `choose_winners_`.
        steps: When each of them fired.
        pre_step: Step of the first spike of each visible unit, (channel, height, width); of a silent one a
            later step than the last.
        layer: Its stride and padding, the same along both axes.
    """
    stride, padding = layer.stride, layer.padding
    assert isinstance(stride, int)
    assert isinstance(padding, int)
    height, width = weight.shape[2:]
    never = np.iinfo(np.int32).max
    padded = np.pad(pre_step, ((0, 0), (padding, padding), (padding, padding)), constant_values=never)
    for (feature, row, column), step in zip(winners, steps, strict=True):
        top, left = row * stride, column * stride
        seen = padded[:, top : top + height, left : left + width] <= step
        w = weight[feature]
        w += np.where(seen, np.float32(A_PLUS), np.float32(A_MINUS)) * w * (1 - w)
