"""How much a synapse moves, by its weight: four readings of dw = delta w (1 - w) for weights with a sign.

W0 is the layer's weight before the sleep, s = max |W0|, lo = min W0, hi = max W0, u = w / s.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


class Dependence(NamedTuple):
    """One reading.

    Attributes:
        factor: (weight, W0) -> change of each weight per unit of delta, like the weight.
        confine: (weight, W0) -> the weight, brought back to where the reading lets weights be.
    """

    factor: Callable[[FloatArray, FloatArray], FloatArray]
    confine: Callable[[FloatArray, FloatArray], FloatArray]


def _room(weight: FloatArray, origin: FloatArray) -> FloatArray:
    """Return 1 - |u|: 0 for the largest weight of the layer, which therefore stays where it is."""
    largest = np.max(np.abs(origin))
    if largest == 0.0:
        return np.zeros_like(weight)
    room: FloatArray = np.clip(1.0 - np.abs(weight) / largest, 0.0, 1.0)
    return room


def sign_magnitude_factor(weight: FloatArray, origin: FloatArray) -> FloatArray:
    """Return dw = delta w (1 - |u|): the magnitude m = |u| moves by delta m (1 - m), the sign stays."""
    return weight * _room(weight, origin)


def signed_factor(weight: FloatArray, origin: FloatArray) -> FloatArray:
    """Return dw = delta |w| (1 - |u|): potentiation always raises the drive, also by weaker inhibition."""
    return np.abs(weight) * _room(weight, origin)


def positive_factor(weight: FloatArray, origin: FloatArray) -> FloatArray:
    """Return dw = delta w (1 - u) for w > 0, and 0 for inhibitory synapses."""
    return np.maximum(weight, 0.0) * _room(weight, origin)


def affine_factor(weight: FloatArray, origin: FloatArray) -> FloatArray:
    """Return dw = delta (w - lo) (hi - w) / (hi - lo): the equation on weights mapped to [0, 1]."""
    lo, hi = np.min(origin), np.max(origin)
    if lo == hi:
        return np.zeros_like(weight)
    room: FloatArray = np.clip(weight - lo, 0.0, None) * np.clip(hi - weight, 0.0, None)
    return room / (hi - lo)


def keep_signs(weight: FloatArray, origin: FloatArray) -> FloatArray:
    """Clip |u| to [0, 1] on the side of zero where the weight began; what was zero stays zero."""
    largest = np.max(np.abs(origin))
    return np.clip(weight, np.where(origin < 0, -largest, 0.0), np.where(origin > 0, largest, 0.0))


def keep_range(weight: FloatArray, origin: FloatArray) -> FloatArray:
    """Clip to [lo, hi]."""
    return np.clip(weight, np.min(origin), np.max(origin))


DEPENDENCES: dict[str, Dependence] = {
    "sign-magnitude": Dependence(sign_magnitude_factor, keep_signs),
    "signed": Dependence(signed_factor, keep_signs),
    "affine": Dependence(affine_factor, keep_range),
    "positive": Dependence(positive_factor, keep_signs),
}
