"""Counts to changes, changes to weights: the twin, what must not be touched, and wrong input."""

import inspect

import naive_update
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from sleepdefense.kernels import apply_changes_, find_changes_, update_rule

DEPENDENCES = ("sign-magnitude", "signed", "positive", "affine")


@st.composite
def layers(draw):
    """Weights now and before, counts, and the features that have some; rows of 1 to 21 synapses."""
    num_features, size = draw(st.integers(1, 5)), draw(st.integers(1, 21))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = (num_features, size)
    origin = rng.choice([0.0, 1.0, -0.5, 2.0], shape) * rng.normal(size=shape)
    if draw(st.integers(0, 9)) == 0:
        origin[:] = draw(st.sampled_from([0.0, 0.25]))
    origin = origin.astype(np.float32)
    largest = np.abs(origin).max()
    # On both sides of 0, and of the bounds
    weight = (origin + rng.normal(scale=0.3, size=shape) * largest).astype(np.float32)
    listed = np.flatnonzero(rng.random(num_features) < 0.6).astype(np.int64)
    plus, minus = rng.integers(0, 50, (2, *shape)).astype(np.int32)
    return weight, origin, plus, minus, listed


@given(
    layers(),
    st.sampled_from(DEPENDENCES),
    st.sampled_from([1.0, 0.7]),
    st.floats(0, 500),
    st.sampled_from([(0.004, -0.003), (0.0, -0.1), (0.3, 0.0)]),
)
def test_changes_and_weights_are_the_twins(layer, dependence, gain, step, amplitude):
    weight, origin, plus, minus, listed = layer
    scales = {"a_plus": amplitude[0], "a_minus": amplitude[1], "gain": gain}
    rule = update_rule(dependence, origin, **scales)
    change = np.full(weight.shape, 7.0)
    square = find_changes_(change, weight, plus, minus, listed, rule)
    expected = naive_update.find_change(weight, plus, minus, origin, dependence, **scales)
    assert_array_equal(change[listed], expected[listed])
    for feature in range(len(weight)):
        sum_of_squares = naive_update.lane_sum(expected[feature] ** 2)
        assert square[feature] == (sum_of_squares if feature in listed else 0.0)
    moved = weight.copy()
    apply_changes_(moved, origin, change, listed, step, rule)
    twin = naive_update.apply_change(weight, expected, origin, dependence, step)
    assert_array_equal(moved[listed], twin[listed])
    others = np.setdiff1d(np.arange(len(weight)), listed)
    assert_array_equal(moved[others], weight[others])
    assert_array_equal(change[others], 7.0)


@pytest.mark.parametrize(
    ("dependence", "expected"),
    [
        # s = 1: m (1 - m) = 0.25 at +-0.5; lo, hi = -1, 1: (w + 1) (1 - w) / 2 = 0.375 at +-0.5, 0.5 at 0
        ("sign-magnitude", [0.0, 0.25, -0.25, 0.0, 0.0]),
        ("signed", [0.0, 0.25, 0.25, 0.0, 0.0]),
        ("positive", [0.0, 0.25, 0.0, 0.0, 0.0]),
        ("affine", [0.0, 0.375, 0.375, 0.0, 0.5]),
    ],
)
def test_changes_by_hand(dependence, expected):
    weight = np.array([[1.0, 0.5, -0.5, -1.0, 0.0]], dtype=np.float32)
    plus, minus = np.full((1, 5), 3, dtype=np.int32), np.full((1, 5), 2, dtype=np.int32)
    rule = update_rule(dependence, weight, a_plus=1.0, a_minus=-0.5, gain=0.5)  # (3 - 1) / 2 = 1
    change = np.empty((1, 5))
    square = find_changes_(change, weight, plus, minus, np.array([0]), rule)
    assert_array_equal(change[0], expected)
    assert square[0] == np.square(expected).sum()


def test_weights_stop_at_their_bounds():
    origin = np.array([[1.0, 0.5, -0.5, 0.0]], dtype=np.float32)
    for dependence, up, down in (
        ("sign-magnitude", [1, 1, 0, 0], [0, 0, -1, 0]),
        ("affine", [1, 1, 1, 1], [-0.5, -0.5, -0.5, -0.5]),
    ):
        rule = update_rule(dependence, origin, a_plus=1.0, a_minus=-1.0)
        for step, expected in ((10.0, up), (-10.0, down)):
            weight = origin.copy()
            apply_changes_(weight, origin, np.ones((1, 4)), np.array([0]), step, rule)
            assert_array_equal(weight[0], expected)


GOOD = {
    "change": np.zeros((2, 3)),
    "weight": np.ones((2, 3), np.float32),
    "potentiation": np.zeros((2, 3), np.int32),
    "depression": np.zeros((2, 3), np.int32),
    "feature": np.array([0, 1]),
}
READ_ONLY = np.zeros((2, 3))
READ_ONLY.flags.writeable = False


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"change": np.zeros((2, 4))}, r"'change' must have shape \(2, 3\), got \(2, 4\)"),
        ({"change": READ_ONLY}, "'change' is changed in place and must be writeable"),
        ({"weight": np.ones((2, 3))}, "'weight' must be an array of float32, got float64"),
        ({"potentiation": np.zeros((2, 2), np.int32)}, r"'potentiation' must have shape \(2, 3\)"),
        ({"depression": np.zeros((3, 2), np.int32).T}, "'depression' must be C-contiguous"),
        ({"feature": np.array([0, 2])}, r"'feature' must hold ascending numbers below 2, got \[0 2\]"),
        ({"feature": np.array([-1])}, "'feature' must hold ascending numbers below 2"),
        ({"feature": np.array([1, 0])}, "'feature' must hold ascending numbers below 2"),
        ({"feature": np.array([1, 1])}, "'feature' must hold ascending numbers below 2"),
    ],
)
def test_wrong_input_is_named(changes, message):
    rule = update_rule("signed", GOOD["weight"], a_plus=1.0, a_minus=0.0)
    with pytest.raises(ValueError, match=message):
        inspect.unwrap(find_changes_)(**(GOOD | changes), rule=rule)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"origin": np.ones((1, 3), np.float32)}, r"'origin' must have shape \(2, 3\), got \(1, 3\)"),
        ({"change": np.ones((2, 2))}, r"'change' must have shape \(2, 3\), got \(2, 2\)"),
        ({"feature": np.array([5])}, "'feature' must hold ascending numbers below 2"),
    ],
)
def test_wrong_input_to_apply_is_named(changes, message):
    rule = update_rule("signed", GOOD["weight"], a_plus=1.0, a_minus=0.0)
    arrays = {"origin": GOOD["weight"], **{name: GOOD[name] for name in ("weight", "change", "feature")}}
    with pytest.raises(ValueError, match=message):
        inspect.unwrap(apply_changes_)(**(arrays | changes), step=1.0, rule=rule)


def test_unknown_dependences_are_named():
    with pytest.raises(ValueError, match="must be one of sign-magnitude, signed, positive, affine, got 'x'"):
        inspect.unwrap(update_rule)("x", GOOD["weight"], a_plus=1.0, a_minus=0.0)
    with pytest.raises(ValueError, match=r"'origin' is empty: it has shape \(0, 3\)"):
        update_rule("signed", GOOD["weight"][:0], a_plus=1.0, a_minus=0.0)
