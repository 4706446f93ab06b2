import math

import numpy as np
import pytest
from scipy import integrate, stats

from sleepdefense.analysis import (
    draw_pearson,
    empirical_ratio,
    limit_ratio,
    pearson_density,
    pearson_ratios,
    scaled_ratio,
)
from sleepdefense.analysis.pearson import mean_absolute, mean_absolute_difference
from sleepdefense.errors import EvaluationError

KURTOSES = (0.5, 2.0, 12.0, 100.0)


@pytest.mark.parametrize("kurtosis", KURTOSES)
def test_density_has_mass_and_variance_1(kurtosis: float) -> None:
    def moment(power: int) -> float:
        def integrand(x: float) -> float:
            return float(x**power * pearson_density(np.array([x]), kurtosis)[0])

        return float(integrate.quad(integrand, -np.inf, np.inf, limit=500)[0])

    assert moment(0) == pytest.approx(1, rel=1e-6)
    assert moment(2) == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize("kurtosis", KURTOSES)
def test_density_is_that_of_a_scaled_t(kurtosis: float) -> None:
    freedom = 4 + 6 / kurtosis
    known = stats.t(freedom, scale=math.sqrt((freedom - 2) / freedom))
    x = np.linspace(-9, 9, 31)
    np.testing.assert_allclose(pearson_density(x, kurtosis), known.pdf(x), rtol=1e-9)
    assert known.stats("k") == pytest.approx(kurtosis)


@pytest.mark.parametrize("kurtosis", [0.0, *KURTOSES])
def test_draws_follow_the_density(kurtosis: float) -> None:
    draws = draw_pearson(4000, kurtosis, generator=np.random.default_rng(0))
    if kurtosis:
        freedom = 4 + 6 / kurtosis
        known = stats.t(freedom, scale=math.sqrt((freedom - 2) / freedom))
    else:
        known = stats.norm()
    # with a fixed seed: the largest distance that a right sampler exceeds once in a thousand draws
    assert stats.kstest(draws, known.cdf).statistic < stats.kstwobign.ppf(0.999) / math.sqrt(4000)


@pytest.mark.parametrize("kurtosis", [0.0, *KURTOSES])
def test_closed_forms_agree_with_integrals(kurtosis: float) -> None:
    def first(x: float) -> float:
        return float(2 * x * pearson_density(np.array([x]), kurtosis)[0])

    assert mean_absolute(kurtosis) == pytest.approx(integrate.quad(first, 0, np.inf, limit=500)[0], rel=1e-6)
    generator = np.random.default_rng(1)
    pairs = draw_pearson(400_000, kurtosis, generator=generator).reshape(2, -1)
    # 200 000 differences of variance 2: 0.01 is more than four standard errors
    assert mean_absolute_difference(kurtosis) == pytest.approx(np.abs(pairs[0] - pairs[1]).mean(), abs=0.01)


def test_the_limits_of_a_normal_distribution() -> None:
    assert limit_ratio(0.0) == pytest.approx(math.pi / (2 * math.sqrt(2)))
    assert limit_ratio(1e-4) == pytest.approx(limit_ratio(0.0), rel=1e-3)


def test_samples_reach_the_limit_and_grow_with_kurtosis() -> None:
    found = pearson_ratios((0.0, 2.0, 100.0), dimension=20_000, pairs=5)
    for sample in found:
        assert sample.mean == pytest.approx(sample.limit, rel=0.05)
    assert found[0].mean < found[1].mean < found[2].mean


def test_the_ratio_by_hand() -> None:
    first, second = np.array([3.0, 0.0, -4.0]), np.array([0.0, 1.0, -4.0])
    # |w1|^2 = 25, |w2 - w1|_1 = 4, mean of the nonzero |w1| = 3.5
    assert scaled_ratio(first, second) == pytest.approx(25 / 4 / 3.5)
    assert scaled_ratio(7 * first, 7 * second) == pytest.approx(25 / 4 / 3.5)


def test_weights_of_a_layer_are_drawn_from() -> None:
    weights = np.random.default_rng(0).laplace(size=(50, 40))
    sample = empirical_ratio("layer", weights, dimension=5000, pairs=4)
    assert sample.kurtosis == pytest.approx(stats.kurtosis(weights.ravel()))
    # E|x| = 1, E|x - y| = 3/2, E[x^2] = 2 for a Laplace distribution: 2 / (3/2)
    assert sample.mean == pytest.approx(4 / 3, rel=0.1)


def test_wrong_input_is_named() -> None:
    with pytest.raises(EvaluationError, match=r"is >= 0, got -1"):
        pearson_density(np.zeros(1), -1.0)
    with pytest.raises(EvaluationError, match="two equal weight vectors"):
        scaled_ratio(np.ones(3), np.ones(3))
    with pytest.raises(EvaluationError, match="'pairs' must be >= 2, got 1"):
        pearson_ratios((0.0,), dimension=5, pairs=1)
