"""How much there is to add: one operation is one spike that meets one synapse."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sleepdefense.bench.workload import Workload, fire_only
from sleepdefense.kernels import ChainLayer

_IMAGES_AT_A_TIME = 4


def count_operations(workload: Workload) -> tuple[int, ...]:
    """Count the synaptic operations of each layer.

    A spike counts once for every synapse it meets: synapses that would lead out of the layer do not exist.

    Args:
        workload: What is simulated.

    Returns:
        One number for each layer, over all images and steps.
    """
    total = np.zeros(len(workload.layers), dtype=np.int64)
    for first in range(0, len(workload.images), _IMAGES_AT_A_TIME):
        total += _count(_slice(workload, first))
    return tuple(int(count) for count in total)


def _slice(workload: Workload, first: int) -> Workload:
    chosen = slice(first, first + _IMAGES_AT_A_TIME)
    return replace(workload, images=workload.images[chosen], index=workload.index[chosen])


def _count(workload: Workload) -> NDArray[np.int64]:
    record = fire_only(workload, record=True)
    shapes = workload.shapes
    inputs = (workload.train(), *record.spikes[:-1])
    return np.array(
        [
            int(np.sum(np.sum(spikes, axis=(0, 1, 2), dtype=np.int64) * _fan_out(layer, before, after)))
            for spikes, layer, before, after in zip(inputs, workload.layers, shapes, shapes[1:], strict=False)
        ],
        dtype=np.int64,
    )


def _fan_out(
    layer: ChainLayer, before: tuple[int, int, int], after: tuple[int, int, int]
) -> NDArray[np.int64]:
    """Count the synapses that one unit at each pixel (height, width) of the input has."""
    strides, paddings = _pair(layer.stride), _pair(layer.padding)
    rows, columns = (
        _reached(
            before[1 + axis], after[1 + axis], layer.weight.shape[2 + axis], strides[axis], paddings[axis]
        )
        for axis in range(2)
    )
    return after[0] * np.outer(rows, columns)


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return value if isinstance(value, tuple) else (value, value)


def _reached(size: int, num_outputs: int, kernel: int, stride: int, padding: int) -> NDArray[np.int64]:
    """Count, along one axis, the output positions whose kernel covers each input position."""
    place = np.arange(size)[:, None] + padding - np.arange(num_outputs)[None, :] * stride
    count: NDArray[np.int64] = np.sum((place >= 0) & (place < kernel), axis=1, dtype=np.int64)
    return count
