"""How a batch ends: counts become changes of the weights, and changes become weights.

A layer is a matrix with one row for each feature that learns, (feature, synapse). So a convolution (feature,
channel, kernel_h, kernel_w) and its mirror twin, a transposed convolution of the same shape, are read in
order, and the mirror twin (in, out) of a linear map is read by columns. Rows without counts are not touched.
"""

from typing import Final, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from sleepdefense.kernels._checks import check_array, check_in_place
from sleepdefense.kernels._jit import Integer, kernel
from sleepdefense.kernels.sums import lane_dot

WeightDependence = Literal["sign-magnitude", "signed", "positive", "affine"]

_SIGN_MAGNITUDE: Final = 0
_SIGNED: Final = 1
_POSITIVE: Final = 2
_AFFINE: Final = 3

_CODES: Final = {
    "sign-magnitude": _SIGN_MAGNITUDE,
    "signed": _SIGNED,
    "positive": _POSITIVE,
    "affine": _AFFINE,
}


class UpdateRule(NamedTuple):
    """What counts do to the weights of one layer; made by `update_rule`."""

    dependence: Integer
    """Code of the reading of f(w) = w (1 - w)."""
    low: float
    """Least weight: lo = min W0 for "affine", otherwise -s = -max |W0|."""
    high: float
    """Largest weight: hi = max W0 for "affine", otherwise s."""
    a_plus: float
    a_minus: float
    gain: float
    """Factor on the whole change; kappa for a mirror twin."""


def update_rule(
    dependence: WeightDependence,
    origin: NDArray[np.float32],
    *,
    a_plus: float,
    a_minus: float,
    gain: float = 1.0,
) -> UpdateRule:
    """Settle how a layer learns.

    Args:
        dependence: The reading of f(w) = w (1 - w) for weights with a sign.
        origin: Weights before the sleep, W0, any shape, not empty.
        a_plus: Scale of potentiation, dimensionless.
        a_minus: Scale of depression, dimensionless.
        gain: Factor on the whole change, dimensionless.

    Raises:
        ValueError: `dependence` is unknown or `origin` empty.
    """
    if dependence not in _CODES:
        known = ", ".join(get_args(WeightDependence))
        raise ValueError(f"'dependence' must be one of {known}, got {dependence!r}")
    if origin.size == 0:
        raise ValueError(f"'origin' is empty: it has shape {origin.shape}")
    high = float(np.max(origin)) if dependence == "affine" else float(np.max(np.abs(origin)))
    low = float(np.min(origin)) if dependence == "affine" else -high
    return UpdateRule(_CODES[dependence], low, high, float(a_plus), float(a_minus), float(gain))


@kernel
def _clip(value: float, low: float, high: float) -> float:
    """Bring a number into [low, high]."""
    if value < low:
        value = low
    if value > high:
        value = high
    return value


@kernel
def _find_row_(
    change: NDArray[np.float64],
    weight: NDArray[np.float32],
    plus: NDArray[np.int32],
    minus: NDArray[np.int32],
    rule: UpdateRule,
) -> None:
    """Write the change of the weights of one feature, at strength 1.

    dw = gain * (delta * f(w)),    delta = a_plus * plus + a_minus * minus,    room = 1 - |w| / s
    """
    a_plus, a_minus, gain, low, high = rule.a_plus, rule.a_minus, rule.gain, rule.low, rule.high
    size = weight.size
    if low == high:  # all weights are equal, or 0: none can move
        change[:] = 0.0
    elif rule.dependence == _SIGN_MAGNITUDE:
        for i in range(size):  # f(w) = w * room
            w = np.float64(weight[i])
            delta = a_plus * plus[i] + a_minus * minus[i]
            change[i] = gain * (delta * (w * _clip(1.0 - abs(w) / high, 0.0, 1.0)))
    elif rule.dependence == _SIGNED:
        for i in range(size):  # f(w) = |w| * room
            w = np.float64(weight[i])
            delta = a_plus * plus[i] + a_minus * minus[i]
            change[i] = gain * (delta * (abs(w) * _clip(1.0 - abs(w) / high, 0.0, 1.0)))
    elif rule.dependence == _POSITIVE:
        for i in range(size):  # f(w) = max(w, 0) * room
            w = np.float64(weight[i])
            delta = a_plus * plus[i] + a_minus * minus[i]
            change[i] = gain * (delta * (_clip(w, 0.0, high) * _clip(1.0 - abs(w) / high, 0.0, 1.0)))
    else:
        span = high - low
        for i in range(size):  # f(w) = (w - lo) * (hi - w) / (hi - lo)
            w = np.float64(weight[i])
            delta = a_plus * plus[i] + a_minus * minus[i]
            change[i] = gain * (delta * (_clip(w - low, 0.0, span) * _clip(high - w, 0.0, span) / span))


@kernel
def _find_changes_(
    change: NDArray[np.float64],
    square: NDArray[np.float64],
    weight: NDArray[np.float32],
    plus: NDArray[np.int32],
    minus: NDArray[np.int32],
    feature: NDArray[np.int64],
    rule: UpdateRule,
) -> None:
    """Write the changes of the listed features and the sum of their squares; all other sums become 0."""
    square[:] = 0.0
    for n in range(feature.size):
        row = change[feature[n]]
        _find_row_(row, weight[feature[n]], plus[feature[n]], minus[feature[n]], rule)
        square[feature[n]] = lane_dot(row, row)


@kernel
def _apply_changes_(
    weight: NDArray[np.float32],
    origin: NDArray[np.float32],
    change: NDArray[np.float64],
    feature: NDArray[np.int64],
    step: float,
    rule: UpdateRule,
) -> None:
    """Move the weights of the listed features and bring them back into their bounds.

    w <- clip(w + step * dw, low, high), with 0 in the place of one bound, by the sign of W0, unless "affine"
    """
    low, high = rule.low, rule.high
    for n in range(feature.size):
        w, w0, dw = weight[feature[n]], origin[feature[n]], change[feature[n]]
        if rule.dependence == _AFFINE:
            for i in range(w.size):
                w[i] = _clip(np.float64(w[i]) + step * dw[i], low, high)
        else:
            for i in range(w.size):
                least = low if w0[i] < 0.0 else 0.0
                most = high if w0[i] > 0.0 else 0.0
                w[i] = _clip(np.float64(w[i]) + step * dw[i], least, most)


@kernel
def _is_listed(feature: NDArray[np.int64], num_features: Integer) -> bool:
    """Say whether the numbers ascend within [0, num_features)."""
    before = np.int64(-1)
    for n in range(feature.size):
        if feature[n] <= before or feature[n] >= num_features:
            return False
        before = feature[n]
    return True


def check_features(feature: NDArray[np.int64], num_features: int) -> None:
    """Refuse a list of features that does not ascend, or leaves the layer."""
    check_array("feature", feature, np.int64, "listed")
    if not _is_listed(feature, num_features):
        raise ValueError(f"'feature' must hold ascending numbers below {num_features}, got {feature}")


def find_changes_(
    change: NDArray[np.float64],
    weight: NDArray[np.float32],
    potentiation: NDArray[np.int32],
    depression: NDArray[np.int32],
    feature: NDArray[np.int64],
    rule: UpdateRule,
) -> NDArray[np.float64]:
    """Write, in place, by how much each weight would move at strength 1.

        dw = gain * (a_plus * potentiation + a_minus * depression) * f(w)

        f(w) =  w (1 - |w| / s)                  "sign-magnitude",    s = max |W0|
                |w| (1 - |w| / s)                "signed"
                max(w, 0) (1 - |w| / s)          "positive"
                (w - lo) (hi - w) / (hi - lo)    "affine",            lo = min W0, hi = max W0

    Args:
        change: Room for the changes, (feature, synapse), float64. Changed in the listed rows.
        weight: Weights now, (feature, synapse), float32.
        potentiation: How often each synapse was potentiated, (feature, synapse), int32.
        depression: How often it was depressed, the same.
        feature: Features with counts, ascending, (listed,), int64.
        rule: From `update_rule`.

    Returns:
        The sum of the squared changes of each feature, (feature,); 0 for one that is not listed.

    Raises:
        ValueError: An array has another type or shape, or `feature` does not ascend.

    Source:
        Talafha et al. 2023, Eqs. 6-7; docs/decisions.md, "Signed weights".

    >>> weight = np.array([[0.5, -0.5, 1.0]], dtype=np.float32)
    >>> rule = update_rule("sign-magnitude", weight, a_plus=0.004, a_minus=-0.003)
    >>> plus, minus = np.array([[10, 0, 10]], dtype=np.int32), np.array([[0, 10, 0]], dtype=np.int32)
    >>> change = np.empty((1, 3))
    >>> square = find_changes_(change, weight, plus, minus, np.array([0]), rule)
    >>> change
    array([[0.01  , 0.0075, 0.    ]])
    """
    check_array("weight", weight, np.float32, "feature synapse")
    check_array("change", change, np.float64, "feature synapse")
    check_in_place("change", change, weight.shape)
    for name, counts in (("potentiation", potentiation), ("depression", depression)):
        check_array(name, counts, np.int32, "feature synapse")
        if counts.shape != weight.shape:
            raise ValueError(f"'{name}' must have shape {weight.shape}, got {counts.shape}")
    check_features(feature, len(weight))
    square = np.empty(len(weight))
    _find_changes_(change, square, weight, potentiation, depression, feature, rule)
    return square


def apply_changes_(
    weight: NDArray[np.float32],
    origin: NDArray[np.float32],
    change: NDArray[np.float64],
    feature: NDArray[np.int64],
    step: float,
    rule: UpdateRule,
) -> None:
    """Move, in place, the weights of the listed features, and keep them in their bounds.

        w <- clip(w + step * change)

    in float64, and then rounded to float32. Bounds are [lo, hi] for "affine", and otherwise [0, s] or [-s, 0]
    by the sign that the weight began with; what was zero stays zero.

    Args:
        weight: Weights, (feature, synapse), float32. Changed in the listed rows.
        origin: Weights before the sleep, the same.
        change: From `find_changes_`.
        feature: As there.
        step: Factor on the changes, dimensionless.
        rule: As there.

    Raises:
        ValueError: An array has another type or shape, or `feature` does not ascend.

    >>> weight = np.array([[0.5, -0.5, 1.0]], dtype=np.float32)
    >>> rule = update_rule("sign-magnitude", weight, a_plus=0.004, a_minus=-0.003)
    >>> apply_changes_(weight, weight.copy(), np.array([[0.25, 0.75, 9.0]]), np.array([0]), 1.0, rule)
    >>> weight
    array([[0.75, 0.  , 1.  ]], dtype=float32)
    """
    check_array("weight", weight, np.float32, "feature synapse")
    check_in_place("weight", weight, weight.shape)
    check_array("origin", origin, np.float32, "feature synapse")
    check_array("change", change, np.float64, "feature synapse")
    for name, other in (("origin", origin), ("change", change)):
        if other.shape != weight.shape:
            raise ValueError(f"'{name}' must have shape {weight.shape}, got {other.shape}")
    check_features(feature, len(weight))
    _apply_changes_(weight, origin, change, feature, float(step), rule)
