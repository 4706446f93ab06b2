"""Differences over the same images."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepdefense.errors import ConfigError
from sleepdefense.papers.paired import paired_difference


def test_by_hand() -> None:
    """98 images, 30 gained, 10 lost: p = 31/100, q = 11/100, half = 1.96 sqrt((.42 - .04) / 100)."""
    first = np.array([True] * 30 + [False] * 10 + [True] * 58)
    second = np.array([False] * 30 + [True] * 10 + [True] * 58)
    found = paired_difference(first, second)
    assert found.points == pytest.approx(100 * 20 / 98)
    assert (found.lower, found.upper) == pytest.approx((20 - 12.0820, 20 + 12.0820), abs=1e-3)
    assert (found.gained, found.lost, found.n, found.sign) == (30, 10, 98, 1)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_turning_it_round_turns_the_sign(pairs: list[tuple[bool, bool]]) -> None:
    first, second = np.array(pairs).T
    one, other = paired_difference(first, second), paired_difference(second, first)
    assert one.points == -other.points
    assert (one.lower, one.upper) == pytest.approx((-other.upper, -other.lower))
    assert -100 <= one.lower <= one.upper <= 100


def test_equal_systems_differ_by_nothing_with_a_width() -> None:
    same = np.array([True] * 7 + [False] * 3)
    found = paired_difference(same, same)
    assert found.points == 0
    assert found.lower < 0 < found.upper
    assert found.sign == 0


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    """95 % of 2000 experiments, give or take four standard errors (2 points)."""
    draw = np.random.default_rng(0)
    held = 0
    for _ in range(2000):
        kind = draw.choice(4, size=60, p=(0.5, 0.2, 0.1, 0.2))
        found = paired_difference((kind == 0) | (kind == 1), (kind == 0) | (kind == 2))
        held += found.lower <= 10 <= found.upper
    assert abs(held / 2000 - 0.95) < 0.02


def test_no_images_are_refused() -> None:
    with pytest.raises(ConfigError, match="got 0 and 0"):
        paired_difference(np.ones(0, bool), np.ones(0, bool))
