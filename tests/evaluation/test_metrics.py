import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from torch.testing import assert_close

from sleepdefense.errors import ConfigError
from sleepdefense.evaluation.metrics import (
    accuracy,
    distances,
    median_distance,
    robust_distance,
    wilson_interval,
)


@given(n=st.integers(1, 10_000), share=st.floats(0, 1), confidence=st.floats(0.5, 0.999))
def test_wilson_interval_is_that_of_scipy(n, share, confidence):
    correct = round(share * n)
    expected = binomtest(correct, n).proportion_ci(confidence, method="wilson")
    assert wilson_interval(correct, n, confidence=confidence) == pytest.approx(
        (expected.low, expected.high), abs=1e-12
    )


def test_wilson_interval_at_the_ends():
    assert wilson_interval(0, 0) == (0.0, 1.0)
    lower, upper = wilson_interval(0, 10)
    assert lower == 0.0
    assert 0.2 < upper < 0.4
    assert wilson_interval(10, 10)[1] == 1.0
    # 100 images know a share near one half to about ten points, 1000 to about three
    assert np.ptp(wilson_interval(50, 100)) == pytest.approx(0.19, abs=0.01)
    assert np.ptp(wilson_interval(500, 1000)) == pytest.approx(0.062, abs=0.001)


@pytest.mark.parametrize(
    ("correct", "n", "confidence"), [(3, 2, 0.95), (-1, 2, 0.95), (1, 2, 1.0), (1, 2, 0)]
)
def test_impossible_counts_are_refused(correct, n, confidence):
    with pytest.raises(ConfigError, match="expected 0 <= correct <= n"):
        wilson_interval(correct, n, confidence=confidence)


def test_accuracy_counts():
    assert accuracy(np.array([1, 2, 3, 4]), np.array([1, 2, 0, 4])) == 0.75
    assert math.isnan(accuracy(np.array([], int), np.array([], int)))


def test_distances_by_hand():
    images = torch.zeros(2, 2, 1, 2)
    attacked = images.clone()
    attacked[0, 0, 0, 0], attacked[0, 1, 0, 0], attacked[0, 1, 0, 1] = 0.25, 0.5, 0.5
    expected = {"L0": 2.0, "L1": 1.25, "L2": 0.75, "Linf": 0.5, "none": 0.75}
    for norm, value in expected.items():
        found = distances(images, attacked, norm)
        assert found.dtype == torch.float64
        assert found.tolist() == [value, 0.0]


@pytest.mark.parametrize(("norm", "order"), [("L0", 0), ("L1", 1), ("L2", 2), ("Linf", math.inf)])
def test_distances_are_those_of_torch(norm, order):
    images, attacked = torch.rand(2, 5, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    expected = torch.linalg.vector_norm((attacked.double() - images.double()).flatten(1), ord=order, dim=1)
    assert_close(distances(images, attacked, norm), expected)


def test_an_unknown_norm_is_refused():
    with pytest.raises(ConfigError, match="unknown norm 'L3'"):
        distances(torch.zeros(1, 1, 1, 1), torch.zeros(1, 1, 1, 1), "L3")


def test_distance_conventions():
    clean = np.array([False, False, True, True])
    after = np.array([False, True, False, True])
    moved = np.full(4, 0.3)
    assert robust_distance(clean, after, moved).tolist() == [0.0, 0.0, 0.3, math.inf]


@pytest.mark.parametrize(
    ("distance", "median"),
    [
        ([0.0, 0.1, math.inf], 0.1),
        ([0.1, 0.3], 0.2),
        ([0.1, math.inf], math.inf),
        ([math.inf, math.inf], math.inf),
        ([0.1, math.nan], math.nan),
        ([], math.nan),
    ],
)
def test_median(distance, median):
    assert median_distance(np.array(distance)) == pytest.approx(median, nan_ok=True)
