import numpy as np
import pytest
from numpy.testing import assert_allclose

from sleepdefense.consolidation import MirroredSTDP, SleepConfig
from sleepdefense.consolidation.dose import find_strength, norm
from sleepdefense.consolidation.plan import settle

ORIGIN = np.array([3.0, 4.0])  # of length 5


@pytest.fixture
def stage(fc):
    return settle(fc, MirroredSTDP(), SleepConfig()).stages[0]


def test_lengths_by_hand():
    assert norm(ORIGIN) == 5.0
    assert norm(0 * ORIGIN) == 0.0


@pytest.mark.parametrize(
    ("directions", "expected"),
    [
        # All batches agree: 10 of them make the way 10 * 0.1; 0.1 * 5 / 1 = 0.5
        ([[0.1, 0.0]] * 3, 0.5),
        # No two agree (each pair has product 0 or their sum is 0): the way is sqrt(10) * 0.1
        ([[0.1, 0.0], [0.0, 0.1]], 0.5 / np.sqrt(0.1)),
        ([[0.1, 0.0], [-0.1, 0.0]], 0.5 / np.sqrt(0.1)),
        # A single batch is taken as what all batches share
        ([[0.0, 0.1]], 0.5),
    ],
)
def test_the_strength_by_hand(stage, directions, expected):
    config = SleepConfig(rho=0.1, target_batches=10, max_batch_change=None)
    assert_allclose(find_strength(stage, [np.array(d) for d in directions], ORIGIN, config), expected)


def test_no_batch_may_move_too_far(stage):
    config = SleepConfig(rho=0.1, target_batches=1, max_batch_change=0.02)
    # The longest of the first batches, 0.2, may move the layer by 0.02 * 5
    assert_allclose(find_strength(stage, [np.array([0.1, 0]), np.array([0.2, 0])], ORIGIN, config), 0.5)


def test_a_given_strength_is_taken_as_it_is(stage):
    assert find_strength(stage, [np.ones(2)], ORIGIN, SleepConfig(strength=7.0)) == 7.0


def test_without_a_dose_the_largest_batch_decides(stage):
    config = SleepConfig(rho=None, max_batch_change=0.02)
    assert_allclose(find_strength(stage, [np.array([0.1, 0.0])], ORIGIN, config), 1.0)
