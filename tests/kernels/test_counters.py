"""Counters of features: the twin, and that a list of features leaves the others alone."""

import inspect

import naive_update
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from sleepdefense.kernels import measure_features_, sum_counts, sum_squares, total


@st.composite
def weights(draw):
    shape = draw(st.integers(1, 4)), draw(st.integers(1, 35))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    weight, origin = (rng.normal(size=(2, *shape)) * rng.integers(0, 2, (2, *shape))).astype(np.float32)
    return weight, origin, np.flatnonzero(rng.random(shape[0]) < 0.7).astype(np.int64)


@given(weights(), st.floats(-1, 1), st.sampled_from([1, 6]))
def test_counters_are_the_twins(layer, centre, num_counters):
    weight, origin, listed = layer
    counter = np.full((len(weight), num_counters), 7.0)
    measure_features_(counter, weight, origin, listed, centre=centre)
    expected = naive_update.measure(weight, origin, centre)[:, :num_counters]
    assert_array_equal(counter[listed], expected[listed])
    assert_array_equal(np.delete(counter, listed, axis=0), 7.0)


@given(weights())
def test_sums_have_one_order(layer):
    values = layer[0].astype(np.float64)
    assert_array_equal(sum_squares(values), [naive_update.lane_sum(row * row) for row in values])
    assert total(values.ravel()) == naive_update.lane_sum(values.ravel())


def test_the_order_of_sums_by_hand():
    # 2**53 + 1 is no float64: lane 0 loses its second number, unless that is added first to another lane.
    values = np.array([2.0**53, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0])
    assert total(values) == 2.0**53
    assert total(np.roll(values, -1)) == 2.0**53  # 1 lands in lane 7, 2**53 there too
    values[9] = 1.0  # lane 1: 1, still lost; with another 1 in lane 1 it is 2, and counts
    assert total(values) == 2.0**53
    values[1] = 1.0
    assert total(values) == 2.0**53 + 2


def test_counts_are_summed_beyond_32_bits():
    count = np.full((3, 4), 2**31 - 1, dtype=np.int32)
    assert sum_counts(count, np.array([0, 2])) == 8 * (2**31 - 1)
    assert sum_counts(count, np.array([], dtype=np.int64)) == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"counter": np.zeros((2, 3))}, "'counter' must have 1 or 6 columns, got 3"),
        ({"counter": np.zeros((1, 6))}, r"'counter' must have shape \(2, 6\), got \(1, 6\)"),
        ({"origin": np.zeros((2, 4), np.float32)}, r"'origin' must have shape \(2, 5\), got \(2, 4\)"),
        ({"weight": np.zeros((2, 5))}, "'weight' must be an array of float32"),
        ({"feature": np.array([2])}, "'feature' must hold ascending numbers below 2"),
    ],
)
def test_wrong_input_is_named(changes, message):
    good = {
        "counter": np.zeros((2, 6)),
        "weight": np.zeros((2, 5), np.float32),
        "origin": np.zeros((2, 5), np.float32),
        "feature": np.array([0]),
    }
    with pytest.raises(ValueError, match=message):
        inspect.unwrap(measure_features_)(**(good | changes))


def test_wrong_counts_are_named():
    with pytest.raises(ValueError, match="'count' must be an array of int32, got int64"):
        inspect.unwrap(sum_counts)(np.zeros((2, 2), dtype=np.int64), np.array([0]))
    with pytest.raises(ValueError, match="'feature' must hold ascending numbers below 2"):
        sum_counts(np.zeros((2, 2), dtype=np.int32), np.array([2]))
    with pytest.raises(ValueError, match="'value' must have the axes"):
        sum_squares(np.zeros(3))
    with pytest.raises(ValueError, match="'value' must have the axes"):
        total(np.zeros((3, 1)))
