"""Which synapses of the neurons that learn are potentiated, which depressed: integer counts, order-free."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sleepdefense.kernels._checks import check_array, check_in_place, check_integer, check_pair, output_size
from sleepdefense.kernels._jit import Integer, kernel

_FIRST: Final = np.int64(np.iinfo(np.int32).min)
_LAST: Final = np.int64(np.iinfo(np.int32).max)


@kernel
def _count_synapses_(
    potentiation: NDArray[np.int32],
    depression: NDArray[np.int32],
    pre_step: NDArray[np.int32],
    post: NDArray[np.int32],
    earliest: Integer,
    latest: Integer,
    geometry: NDArray[np.int64],
    depress_outside: bool,
) -> None:
    """Count for one neuron `post` (feature, row, column): potentiated if earliest <= pre_step <= latest.

    `geometry` is (stride, stride, padding, padding), row before column.
    """
    num_channels, height, width = pre_step.shape
    feature = post[0]
    for channel in range(num_channels):
        for ky in range(potentiation.shape[2]):
            y = post[1] * geometry[0] - geometry[2] + ky
            for kx in range(potentiation.shape[3]):
                x = post[2] * geometry[1] - geometry[3] + kx
                if y >= 0 and y < height and x >= 0 and x < width:
                    if pre_step[channel, y, x] >= earliest and pre_step[channel, y, x] <= latest:
                        potentiation[feature, channel, ky, kx] += 1
                    else:
                        depression[feature, channel, ky, kx] += 1
                elif depress_outside:
                    depression[feature, channel, ky, kx] += 1


@kernel
def _count_pairings_(
    potentiation: NDArray[np.int32],
    depression: NDArray[np.int32],
    pre_step: NDArray[np.int32],
    winner: NDArray[np.int32],
    geometry: NDArray[np.int64],
    depress_outside: bool,
    as_printed: bool,
) -> None:
    """Count for each winner: the visible spike at or before the hidden one (as printed: at or after)."""
    for i in range(winner.shape[0]):
        earliest, latest = _FIRST, np.int64(winner[i, 3])
        if as_printed:
            earliest, latest = np.int64(winner[i, 3]), _LAST
        _count_synapses_(
            potentiation, depression, pre_step, winner[i], earliest, latest, geometry, depress_outside
        )


def _check_counts(
    potentiation: NDArray[Any],
    depression: NDArray[Any],
    pre_shape: tuple[int, ...],
    stride: object,
    padding: object,
) -> tuple[NDArray[np.int64], tuple[int, int, int]]:
    """Return (strides, paddings) and the shape (feature, height, width) of the hidden layer."""
    check_array("potentiation", potentiation, np.int32, "feature channel kernel_h kernel_w")
    check_array("depression", depression, np.int32, "feature channel kernel_h kernel_w")
    check_in_place("potentiation", potentiation, potentiation.shape)
    check_in_place("depression", depression, potentiation.shape)
    strides = check_pair("stride", stride, least=1)
    paddings = check_pair("padding", padding, least=0)
    num_features, num_channels, *kernel_size = potentiation.shape
    if pre_shape[0] != num_channels:
        raise ValueError(
            f"the visible layer must have {num_channels} channels like the counts, got {pre_shape[0]}"
        )
    height, width = (
        output_size(size, span, step, rim)
        for size, span, step, rim in zip(pre_shape[1:], kernel_size, strides, paddings, strict=True)
    )
    if height < 1 or width < 1:
        raise ValueError(
            f"a kernel of {kernel_size[0]} x {kernel_size[1]} pixels does not fit a visible layer of "
            f"{pre_shape[1]} x {pre_shape[2]} with padding {paddings}"
        )
    return np.array([*strides, *paddings], dtype=np.int64), (num_features, height, width)


def count_pairings_(
    potentiation: NDArray[np.int32],
    depression: NDArray[np.int32],
    pre_step: NDArray[np.int32],
    winner: NDArray[np.int32],
    *,
    stride: int | tuple[int, int],
    padding: int | tuple[int, int],
    depress_outside: bool = False,
    as_printed: bool = False,
) -> None:
    """Count, in place, how often each synapse of the winners is potentiated and how often depressed.

    A winner (f, y, x) that fired at step t adds 1 for each synapse (f, c, u, v) of its receptive field, to

        potentiation  if pre_step[c, y * stride - padding + u, x * stride - padding + v] <= t,
        depression    otherwise: the visible unit spiked later, or never.

    Args:
        potentiation: Counts so far, (feature, channel, kernel_h, kernel_w), int32. Changed.
        depression: Counts so far, same shape. Changed.
        pre_step: Step of the first spike of each visible unit, (channel, height, width), int32, >= 0; a unit
            that stayed silent holds a step beyond the end of the train.
        winner: One row (feature, row, column, step) for each winner, (winner, 4), int32, with row and column
            in pixels of the hidden layer, as `select_winners` returns them. May be empty.
        stride: Distance between neighbouring receptive fields, in visible pixels; one number, or (row,
            column).
        padding: Width of the rim around the visible layer, in pixels; one number, or (row, column).
        depress_outside: Depress synapses that reach into the rim; otherwise they are left alone.
        as_printed: Take Eq. 6 as printed: potentiation if t <= pre_step, so also for a unit that stays
            silent.

    Raises:
        ValueError: An argument has another type, shape or range, or a winner lies outside the hidden layer.

    Source:
        Talafha et al. 2023, Eq. 6 with phi_r = alpha = 1 and phi_p = beta = 0. Which spike must come first:
        docs/decisions.md, "Order of spikes in Eq. 6".

    >>> plus, minus = np.zeros((2, 1, 1, 1, 2), dtype=np.int32)   # one feature, one channel, kernel 1 x 2
    >>> pre_step = np.array([[[0, 5, 5]]], dtype=np.int32)
    >>> count_pairings_(plus, minus, pre_step, np.array([[0, 0, 0, 3]], dtype=np.int32), stride=1, padding=0)
    >>> plus.ravel(), minus.ravel()
    (array([1, 0], dtype=int32), array([0, 1], dtype=int32))
    """
    check_array("pre_step", pre_step, np.int32, "channel height width")
    geometry, hidden = _check_counts(potentiation, depression, pre_step.shape, stride, padding)
    check_array("winner", winner, np.int32, "winner entry")
    if winner.shape[1] != 4:
        raise ValueError(f"'winner' must hold rows (feature, row, column, step), got shape {winner.shape}")
    for axis, (name, size) in enumerate(zip(("feature", "row", "column"), hidden, strict=True)):
        wrong = winner[(winner[:, axis] < 0) | (winner[:, axis] >= size)]
        if len(wrong):
            raise ValueError(f"winner {wrong[0].tolist()}: its {name} must be between 0 and {size - 1}")
    _count_pairings_(
        potentiation,
        depression,
        pre_step,
        winner,
        geometry,
        bool(depress_outside),
        bool(as_printed),
    )


@kernel
def _count_coincidences_(
    potentiation: NDArray[np.int32],
    depression: NDArray[np.int32],
    pre_step: NDArray[np.int32],
    post: NDArray[np.int32],
    geometry: NDArray[np.int64],
    depress_outside: bool,
) -> None:
    """Count for each post spike; pre_step is 0 where the visible unit spikes now."""
    for i in range(post.shape[0]):
        now = np.int64(0)
        _count_synapses_(potentiation, depression, pre_step, post[i], now, now, geometry, depress_outside)


def count_coincidences_(
    potentiation: NDArray[np.int32],
    depression: NDArray[np.int32],
    pre: NDArray[np.uint8],
    post: NDArray[np.uint8],
    *,
    stride: int | tuple[int, int],
    padding: int | tuple[int, int],
    depress_outside: bool = False,
) -> None:
    """Count, in place, the coincidences of one step: every neuron that spikes learns.

    Each spike of a hidden neuron adds 1 for each synapse of its receptive field: to potentiation if the
    visible unit spikes in the same step, to depression if not.

    Args:
        potentiation: Counts so far, (feature, channel, kernel_h, kernel_w), int32. Changed.
        depression: Counts so far, same shape. Changed.
        pre: 0/1 spikes of the visible layer in this step, (channel, height, width), uint8.
        post: 0/1 spikes of the hidden layer in this step, (feature, height, width), uint8.
        stride: Distance between neighbouring receptive fields, in visible pixels; one number, or (row,
            column).
        padding: Width of the rim around the visible layer, in pixels; one number, or (row, column).
        depress_outside: Depress synapses that reach into the rim; otherwise they are left alone.

    Raises:
        ValueError: An argument has another type, shape or range.

    Source:
        The pairing of Tadros et al. 2022 (sleep replay consolidation): only spikes of the same step count.

    >>> plus, minus = np.zeros((2, 1, 2, 1, 1), dtype=np.int32)   # one feature, two channels, kernel 1 x 1
    >>> pre, post = np.array([[[1]], [[0]]], dtype=np.uint8), np.ones((1, 1, 1), dtype=np.uint8)
    >>> count_coincidences_(plus, minus, pre, post, stride=1, padding=0)
    >>> plus.ravel(), minus.ravel()
    (array([1, 0], dtype=int32), array([0, 1], dtype=int32))
    """
    check_array("pre", pre, np.uint8, "channel height width")
    check_array("post", post, np.uint8, "feature height width")
    geometry, hidden = _check_counts(potentiation, depression, pre.shape, stride, padding)
    if post.shape != hidden:
        raise ValueError(f"'post' must have the shape of the hidden layer, {hidden}, got {post.shape}")
    for name, spikes in (("pre", pre), ("post", post)):
        check_integer(f"largest value of {name}", int(np.max(spikes, initial=0)), least=0, most=1)
    _count_coincidences_(
        potentiation,
        depression,
        1 - pre.astype(np.int32),
        np.argwhere(post).astype(np.int32),
        geometry,
        bool(depress_outside),
    )
