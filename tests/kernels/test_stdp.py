"""Pairings and coincidences: golden counts, the twin, and what must not be touched."""

import inspect

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepdefense.kernels import count_coincidences_, count_pairings_

PAIRS = st.tuples(st.integers(1, 3), st.integers(1, 3))
RIMS = st.tuples(st.integers(0, 3), st.integers(0, 3))


@st.composite
def synapses(draw):
    """Shape of the weights, the visible and the hidden layer, stride, padding, and a source of numbers."""
    kernel, stride, padding = draw(PAIRS), draw(PAIRS), draw(RIMS)
    visible = [draw(st.integers(max(1, kernel[axis] - 2 * padding[axis]), 6)) for axis in (0, 1)]
    hidden = [(visible[axis] + 2 * padding[axis] - kernel[axis]) // stride[axis] + 1 for axis in (0, 1)]
    num_features, num_channels = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    shapes = (num_features, num_channels, *kernel), (num_channels, *visible), (num_features, *hidden)
    return *shapes, stride, padding, np.random.default_rng(draw(st.integers(0, 2**32 - 1)))


def empty(shape):
    """Counts that do not begin at 0: they must be added to."""
    return np.full(shape, 3, dtype=np.int32), np.full(shape, 5, dtype=np.int32)


@given(synapses(), st.booleans(), st.booleans(), st.integers(0, 6))
def test_pairings_are_the_twins(setting, depress_outside, as_printed, num_winners):
    shape, visible, hidden, stride, padding, rng = setting
    pre_step = rng.integers(0, 4, visible).astype(np.int32)
    winner = rng.integers(0, [*hidden, 4], (num_winners, 4)).astype(np.int32)
    plus, minus = empty(shape)
    options = {"depress_outside": depress_outside, "as_printed": as_printed}
    place = {"stride": stride, "padding": padding}
    count_pairings_(plus, minus, pre_step, winner, **place, **options)
    twin = naive.count_pairings(shape, pre_step, winner, **place, **options)
    np.testing.assert_array_equal(plus - 3, twin[0])
    np.testing.assert_array_equal(minus - 5, twin[1])


@given(synapses(), st.booleans())
def test_coincidences_are_the_twins(setting, depress_outside):
    shape, visible, hidden, stride, padding, rng = setting
    pre = rng.integers(0, 2, visible).astype(np.uint8)
    post = rng.integers(0, 2, hidden).astype(np.uint8)
    plus, minus = empty(shape)
    place = {"stride": stride, "padding": padding, "depress_outside": depress_outside}
    count_coincidences_(plus, minus, pre, post, **place)
    twin = naive.count_coincidences(shape, pre, post, **place)
    np.testing.assert_array_equal(plus - 3, twin[0])
    np.testing.assert_array_equal(minus - 5, twin[1])


def pairings(pre_step, winner, kernel, **options):
    plus, minus = np.zeros((2, 1, 1, *kernel), dtype=np.int32)
    settings = {"stride": 1, "padding": 0, **options}
    count_pairings_(plus, minus, np.array([pre_step], np.int32), np.array([winner], np.int32), **settings)
    return plus[0, 0].tolist(), minus[0, 0].tolist()


def test_visible_before_or_with_hidden_potentiates():
    # The winner fired at step 3; its visible units at 2, 3, 4, and never (9).
    assert pairings([[2, 3, 4, 9]], [0, 0, 0, 3], (1, 4)) == ([[1, 1, 0, 0]], [[0, 0, 1, 1]])


def test_as_printed_is_the_other_order_and_keeps_the_tie():
    # Eq. 6 as printed: t_hidden - t_visible <= 0; a visible unit that never spikes is infinitely late.
    expected = ([[0, 1, 1, 1]], [[1, 0, 0, 0]])
    assert pairings([[2, 3, 4, 9]], [0, 0, 0, 3], (1, 4), as_printed=True) == expected


@pytest.mark.parametrize(("depress_outside", "left"), [(False, 0), (True, 1)])
def test_synapses_into_the_rim(depress_outside, left):
    # Padding 1 and the winner in the corner: only the lower right of 2 x 2 taps sees the image.
    expected = ([[0, 0], [0, 1]], [[left, left], [left, 0]])
    seen = pairings([[0, 0], [0, 0]], [0, 0, 0, 0], (2, 2), padding=1, depress_outside=depress_outside)
    assert seen == expected


def test_stride_and_unequal_axes():
    # Row 1 at stride 2 reads visible row 2; column 2 at stride 1 with padding 1 reads columns 1 and 2.
    pre_step = [[0, 0, 0], [0, 0, 0], [9, 0, 9]]
    seen = pairings(pre_step, [0, 1, 2, 5], (1, 2), stride=(2, 1), padding=(0, 1))
    assert seen == ([[1, 0]], [[0, 1]])


def test_only_the_winners_map_changes():
    plus, minus = np.zeros((2, 3, 1, 1, 1), dtype=np.int32)
    winner = np.array([[1, 0, 0, 0]], dtype=np.int32)
    count_pairings_(plus, minus, np.zeros((1, 1, 1), dtype=np.int32), winner, stride=1, padding=0)
    assert plus.ravel().tolist() == [0, 1, 0]
    assert minus.ravel().tolist() == [0, 0, 0]


PLUS = np.zeros((2, 1, 2, 2), dtype=np.int32)
PRE = np.zeros((1, 3, 3), dtype=np.int32)
READ_ONLY = PLUS.copy()
READ_ONLY.flags.writeable = False


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"winner": [[2, 0, 0, 0]]}, r"winner \[2, 0, 0, 0\]: its feature must be between 0 and 1"),
        ({"winner": [[0, 0, 0, 0], [0, 2, 0, 0]]}, r"winner \[0, 2, 0, 0\]: its row must be between 0 and 1"),
        ({"winner": [[0, 0, -1, 0]]}, r"winner \[0, 0, -1, 0\]: its column must be between 0 and 1"),
        ({"winner": [[0, 0, 0]]}, r"'winner' must hold rows \(feature, row, column, step\)"),
        ({"depression": PLUS[:1]}, r"'depression' must have shape \(2, 1, 2, 2\), got \(1, 1, 2, 2\)"),
        ({"depression": READ_ONLY}, "'depression' is changed in place and must be writeable"),
        ({"potentiation": PLUS.astype(np.int64)}, "'potentiation' must be an array of int32, got int64"),
        ({"pre_step": np.zeros((2, 3, 3), np.int32)}, "must have 1 channels like the counts, got 2"),
        ({"pre_step": PRE[:, :1]}, "a kernel of 2 x 2 pixels does not fit a visible layer of 1 x 3"),
        ({"stride": 0}, "'stride' must be between 1 and"),
        ({"padding": (0, -1)}, "'padding' must be between 0 and"),
        ({"padding": (0, 1, 2)}, r"'padding' must be one integer or a pair \(row, column\)"),
    ],
)
def test_wrong_input_is_named(changes, message):
    settings = {
        "potentiation": PLUS, "depression": PLUS, "pre_step": PRE, "winner": [], "stride": 1, "padding": 0
    } | changes  # fmt: skip
    winner = settings["winner"]
    settings["winner"] = np.array(winner, np.int32) if winner else np.zeros((0, 4), np.int32)
    unchecked_types = inspect.unwrap(count_pairings_)
    with pytest.raises(ValueError, match=message):
        unchecked_types(**settings)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"post": np.zeros((2, 3, 3), np.uint8)},
            r"'post' must have the shape of the hidden layer, \(2, 2, 2\)",
        ),
        ({"post": np.full((2, 2, 2), 2, np.uint8)}, "'largest value of post' must be between 0 and 1, got 2"),
        ({"pre": np.full((1, 3, 3), 7, np.uint8)}, "'largest value of pre' must be between 0 and 1, got 7"),
        ({"pre": PRE}, "'pre' must be an array of uint8, got int32"),
    ],
)
def test_wrong_spikes_are_named(changes, message):
    settings = {
        "potentiation": PLUS,
        "depression": PLUS,
        "pre": np.zeros((1, 3, 3), np.uint8),
        "post": np.zeros((2, 2, 2), np.uint8),
        "stride": 1,
        "padding": 0,
    } | changes
    unchecked_types = inspect.unwrap(count_coincidences_)
    with pytest.raises(ValueError, match=message):
        unchecked_types(**settings)
