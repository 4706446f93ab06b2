"""Weights on their grid: the twin, and ties."""

import inspect

import naive_update
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from sleepdefense.kernels import round_features_


@given(
    st.integers(1, 4),
    st.integers(1, 20),
    st.integers(0, 13),
    st.sampled_from([None, (-1.0, 0.5), (0.0, 2.0)]),
    st.integers(0, 2**32 - 1),
)
def test_units_and_reach_are_the_twins(num_features, size, bits, bounds, seed):
    rng = np.random.default_rng(seed)
    # Half of the weights lie on a grid twice as fine: ties
    weight = rng.normal(size=(num_features, size))
    weight = np.where(
        rng.random(weight.shape) < 0.5, np.round(weight * 2.0 ** (bits + 1)) / 2.0 ** (bits + 1), weight
    )
    weight = weight.astype(np.float32)
    listed = np.flatnonzero(rng.random(num_features) < 0.7).astype(np.int64)
    unit, reach = np.full(weight.shape, 9, dtype=np.int32), np.full((num_features, 3), 9.0)
    round_features_(unit, reach, weight, listed, grid_bits=bits, bounds=bounds)
    units, reaches = naive_update.round_weights(weight, bits, bounds)
    assert_array_equal(unit[listed], units[listed])
    assert_array_equal(reach[listed], reaches[listed])
    assert_array_equal(np.delete(unit, listed, axis=0), 9)
    assert_array_equal(np.delete(reach, listed, axis=0), 9.0)


def test_ties_go_to_the_even_unit():
    unit, reach = np.zeros((1, 4), dtype=np.int32), np.zeros((1, 3))
    weight = np.array([[0.25, 0.75, -0.25, -1.25]], dtype=np.float32)
    round_features_(unit, reach, weight, np.array([0]), grid_bits=1)
    assert_array_equal(unit, [[0, 2, 0, -2]])
    assert_array_equal(reach, [[1.25, 2.5, 2.5]])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"unit": np.zeros((1, 2), np.int16)}, "'unit' must be an array of int32, got int16"),
        ({"reach": np.zeros((1, 2))}, r"'reach' must have shape \(1, 3\), got \(1, 2\)"),
        ({"feature": np.array([1])}, "'feature' must hold ascending numbers below 1"),
        ({"grid_bits": 31}, "'grid_bits' must be between 0 and 30, got 31"),
        ({"bounds": (1.0, 1.0)}, r"'bounds' must be \(lo, hi\) with lo < hi, got \(1.0, 1.0\)"),
    ],
)
def test_wrong_input_is_named(changes, message):
    good = {
        "unit": np.zeros((1, 2), np.int32),
        "reach": np.zeros((1, 3)),
        "weight": np.zeros((1, 2), np.float32),
        "feature": np.array([0]),
        "grid_bits": 3,
    }
    with pytest.raises(ValueError, match=message):
        inspect.unwrap(round_features_)(**(good | changes))
