"""How far weights and membranes can go, and the types that hold them."""

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from sleepdefense.kernels._checks import LARGEST_STEP
from sleepdefense.kernels._jit import kernel
from sleepdefense.kernels.chain import ChainLayer

WeightType = Literal["i16", "f32", "i8"]

LOWEST, HIGHEST, FALL, RISE = range(4)
"""What is known of each feature: its lowest and highest weight or 0, and the sums of its negative (without
their sign) and positive weights, with its bias."""

_FLOAT_REACH: Final = 2**24


class Numbers(NamedTuple):
    """Types of weights and membranes."""

    weight: DTypeLike
    membrane: DTypeLike


NUMBERS: Final[dict[WeightType, Numbers]] = {
    "i16": Numbers(np.uint16, np.int32),
    "f32": Numbers(np.float32, np.float32),
    "i8": Numbers(np.uint8, np.int32),
}
_WIDE: Final = Numbers(np.int64, np.int64)


@kernel
def _measure_(
    extent: NDArray[np.int64],
    weight: NDArray[np.int32],
    bias: NDArray[np.int32],
    features: NDArray[np.int64],
) -> None:
    """Write the extent of the listed features, (feature, 4); weight (feature, synapse)."""
    for i in range(features.size):
        feature = features[i]
        lowest, highest, fall, rise = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
        for synapse in range(weight.shape[1]):
            value = np.int64(weight[feature, synapse])
            lowest, highest = min(lowest, value), max(highest, value)
            fall -= min(value, np.int64(0))
            rise += max(value, np.int64(0))
        extent[feature, LOWEST] = lowest
        extent[feature, HIGHEST] = highest
        extent[feature, FALL] = fall - min(np.int64(bias[feature]), np.int64(0))
        extent[feature, RISE] = rise + max(np.int64(bias[feature]), np.int64(0))


def measure_(extent: NDArray[np.int64], layer: ChainLayer, features: Sequence[int]) -> None:
    """Write, in place, the extent of some features, (feature, 4)."""
    weight = layer.weight.reshape(len(layer.weight), -1)
    _measure_(extent, weight, layer.bias, np.asarray(features, dtype=np.int64))


def extent_of(layer: ChainLayer) -> NDArray[np.int64]:
    """Return the extent of all features, (feature, 4)."""
    extent = np.zeros((len(layer.weight), 4), dtype=np.int64)
    measure_(extent, layer, range(len(extent)))
    return extent


def reach(layer: ChainLayer, extent: NDArray[np.int64], num_steps: int) -> int:
    """Return the largest membrane, without its sign, that a layer can come to.

    In a step a membrane falls by no more than the sum n of its negative weights, and rises by no more than
    the sum p of the positive ones, biases included. Above the threshold it is lowered by it, so

        -T n  <=  V  <=  threshold + p + T max(0, p - threshold)
    """
    up, down, limit = int(np.max(extent[:, RISE])), int(np.max(extent[:, FALL])), layer.threshold
    highest = limit + up + num_steps * max(0, up - limit)
    return max(highest, num_steps * down) * layer.pool[0] * layer.pool[1]


def choose_numbers(
    layers: Sequence[ChainLayer],
    extents: Sequence[NDArray[np.int64]],
    num_steps: int,
    weight_type: WeightType,
) -> Numbers:
    """Return the types that hold everything.

    Raises:
        ValueError: No type does, or not the one that is asked for.
    """
    most = max(reach(layer, extent, num_steps) for layer, extent in zip(layers, extents, strict=True))
    if weight_type == "f32":
        if most > _FLOAT_REACH:
            raise ValueError(
                f"a membrane may reach {most} in {num_steps} steps, beyond the 2**24 up to which 'f32' is "
                "exact: take weight_type 'i16', or fewer steps"
            )
        return NUMBERS["f32"]
    if most >= 2**63:
        raise ValueError(f"a membrane may reach {most} in {num_steps} steps, beyond 64 bits: use fewer")
    words = np.iinfo(np.int16)
    fits = all(
        np.min(extent[:, LOWEST]) >= words.min and np.max(extent[:, HIGHEST]) <= words.max
        for extent in extents
    )
    if fits and most < LARGEST_STEP:
        return NUMBERS[weight_type]
    if weight_type == "i8":
        raise ValueError(
            f"weights beyond 16 bits, or membranes up to {most} in {num_steps} steps, are no case for 'i8': "
            "take weight_type 'i16', which widens by itself"
        )
    return _WIDE


def byte_unit(layer: ChainLayer) -> int:
    """Return the power of two in whose multiples the weights of a layer span at most 255."""
    unit = 1
    while True:
        rounded = np.rint(layer.weight / unit)
        if np.max(rounded, initial=0) - np.min(rounded, initial=0) <= 255:
            return unit
        unit *= 2


def rounded_to_bytes(layer: ChainLayer) -> ChainLayer:
    """Return the layer that "i8" computes: weight, bias and threshold as multiples of `byte_unit`."""
    unit = byte_unit(layer)
    return layer._replace(
        weight=(np.rint(layer.weight / unit) * unit).astype(np.int32),
        bias=(np.rint(layer.bias / unit) * unit).astype(np.int32),
        threshold=max(1, round(layer.threshold / unit)) * unit,
    )
