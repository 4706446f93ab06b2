"""Winners: the order of selection, the inhibition, and their laws."""

import inspect

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepdefense.kernels import select_winners


@st.composite
def layers(draw):
    """First spikes and potentials with few different values, so that there are ties of every sort."""
    shape = draw(st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 5)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    first_step = rng.integers(0, draw(st.integers(1, 5)), shape).astype(np.int32)
    potential = rng.integers(-1, draw(st.integers(0, 3)), shape, endpoint=True)
    return first_step, potential * draw(st.sampled_from([1, 2**40]))


@given(layers(), st.integers(0, 5), st.integers(0, 7), st.integers(0, 3))
def test_winners_are_the_twins(layer, num_steps, k, radius):
    winner = select_winners(*layer, num_steps=num_steps, k=k, radius=radius)
    twin = naive.select_winners(*layer, num_steps=num_steps, k=k, radius=radius)
    np.testing.assert_array_equal(winner, twin, strict=True)


def competition(spikes, num_features, size):
    """A layer from rows (feature, row, column, step, potential)."""
    first_step = np.full((num_features, *size), 99, dtype=np.int32)
    potential = np.zeros((num_features, *size), dtype=np.int64)
    for feature, row, column, step, value in spikes:
        first_step[feature, row, column] = step
        potential[feature, row, column] = value
    return first_step, potential


def test_earlier_beats_higher_beats_lower_index():
    layer = competition([(0, 0, 0, 1, 900), (1, 0, 1, 0, 5), (2, 1, 0, 0, 7), (3, 1, 1, 0, 5)], 4, (2, 2))
    winner = select_winners(*layer, num_steps=2, k=9, radius=0)
    assert winner.tolist() == [[2, 1, 0, 0], [1, 0, 1, 0], [3, 1, 1, 0], [0, 0, 0, 1]]


def test_equal_neurons_are_ordered_by_feature_then_row_then_column():
    layer = competition([(1, 0, 0, 0, 1), (0, 1, 0, 0, 1), (0, 0, 1, 0, 1), (0, 1, 1, 0, 1)], 2, (2, 2))
    assert select_winners(*layer, num_steps=1, k=1, radius=0).tolist() == [[0, 0, 1, 0]]


def test_one_winner_in_a_map():
    layer = competition([(0, 0, 0, 0, 9), (0, 4, 4, 0, 8), (1, 0, 0, 0, 1)], 2, (5, 5))
    assert select_winners(*layer, num_steps=1, k=9, radius=0).tolist() == [[0, 0, 0, 0], [1, 0, 0, 0]]


@pytest.mark.parametrize(("radius", "survivors"), [(0, [1, 2, 3]), (1, [2, 3]), (2, [3]), (3, [])])
def test_radius_is_a_radius(radius, survivors):
    # The winner in the middle of 7 x 7; the others lie 1, 2 and 3 pixels away, in maps of their own.
    layer = competition([(0, 3, 3, 0, 9), (1, 2, 4, 1, 1), (2, 3, 5, 1, 1), (3, 6, 2, 1, 1)], 4, (7, 7))
    winner = select_winners(*layer, num_steps=2, k=4, radius=radius)
    assert winner[:, 0].tolist() == [0, *survivors]


def test_silent_neurons_never_win():
    layer = competition([(0, 0, 0, 3, 9)], 1, (1, 1))
    assert select_winners(*layer, num_steps=3, k=1, radius=0).shape == (0, 4)
    assert select_winners(*layer, num_steps=4, k=1, radius=0).tolist() == [[0, 0, 0, 3]]


@given(layers(), st.integers(0, 5), st.integers(0, 3))
def test_fewer_winners_are_the_first_of_more(layer, k, radius):
    more = select_winners(*layer, num_steps=4, k=k + 1, radius=radius)
    np.testing.assert_array_equal(select_winners(*layer, num_steps=4, k=k, radius=radius), more[:k])


def test_arguments_stay_as_they_are():
    first_step, potential = competition([(0, 0, 0, 1, 4), (1, 0, 0, 0, 3)], 2, (1, 1))
    before = first_step.copy(), potential.copy()
    select_winners(first_step, potential, num_steps=2, k=2, radius=1)
    np.testing.assert_array_equal(first_step, before[0])
    np.testing.assert_array_equal(potential, before[1])


STEPS, POTENTIALS = np.zeros((1, 2, 3), dtype=np.int32), np.zeros((1, 2, 3), dtype=np.int64)


@pytest.mark.parametrize(
    ("first_step", "potential", "settings", "message"),
    [
        (STEPS.astype(np.int64), POTENTIALS, {}, "'first_step' must be an array of int32, got int64"),
        (STEPS, STEPS, {}, "'potential' must be an array of int64, got int32"),
        (STEPS[0], POTENTIALS, {}, r"'first_step' must have the axes \(feature, height, width\)"),
        (STEPS, POTENTIALS[:, :1], {}, r"'potential' must have the shape of 'first_step', \(1, 2, 3\)"),
        (STEPS - np.int32(1), POTENTIALS, {}, "'first_step' must not be negative, got -1"),
        (STEPS, POTENTIALS, {"k": -1}, "'k' must be between 0 and"),
        (STEPS, POTENTIALS, {"radius": -1}, "'radius' must be between 0 and"),
        (STEPS, POTENTIALS, {"num_steps": True}, "'num_steps' must be an integer, got True"),
    ],
)
def test_wrong_input_is_named(first_step, potential, settings, message):
    unchecked_types = inspect.unwrap(select_winners)
    with pytest.raises(ValueError, match=message):
        unchecked_types(first_step, potential, **{"num_steps": 1, "k": 1, "radius": 0, **settings})
