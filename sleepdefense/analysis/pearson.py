"""How large a perturbation must be to fool a linear classifier whose weights are drawn with heavy tails.

    x is classified as 1 if w_1 . x > w_2 . x. The image w_1 is fooled by epsilon sgn(w_2 - w_1) only if
    epsilon > epsilon_min = ||w_1||^2 / ||w_2 - w_1||_1      (w_1 . w_2 = 0)

The paper divides epsilon_min by the mean |w_1|, the "intensity" of the image.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import integrate, special, stats

from sleepdefense.errors import EvaluationError


def pearson_density(values: NDArray[np.float64], kurtosis: float) -> NDArray[np.float64]:
    """Return the density of the Pearson type VII distribution of variance 1.

        f(x) = (1 + (x / a)^2)^(-5/2 - 3/kurtosis) / (a B(2 + 3/kurtosis, 1/2)),   a = sqrt(2 + 6/kurtosis)

    Args:
        values: x.
        kurtosis: Excess kurtosis, >= 0; 0 is the normal distribution, the limit.

    Source:
        Nayebi and Ganguli 2017, section 8.
    """
    _check(kurtosis)
    if kurtosis == 0:
        return np.asarray(stats.norm.pdf(values))
    a = math.sqrt(2 + 6 / kurtosis)
    power = np.power(1 + (values / a) ** 2, -2.5 - 3 / kurtosis)
    return np.asarray(power / (a * special.beta(2 + 3 / kurtosis, 0.5)))


def draw_pearson(count: int, kurtosis: float, *, generator: np.random.Generator) -> NDArray[np.float64]:
    """Draw from the Pearson type VII distribution of variance 1.

    It is Student's t with nu = 4 + 6/kurtosis degrees of freedom, times sqrt((nu - 2) / nu).

    Args:
        count: How many numbers.
        kurtosis: Excess kurtosis, >= 0.
        generator: Where they come from.
    """
    _check(kurtosis)
    if kurtosis == 0:
        return generator.standard_normal(count)
    freedom = 4 + 6 / kurtosis
    return generator.standard_t(freedom, count) * math.sqrt((freedom - 2) / freedom)


def mean_absolute(kurtosis: float) -> float:
    """Return E|x| of the Pearson type VII distribution of variance 1, in closed form.

    E|x| = a / ((3/2 + 3/kurtosis) B(2 + 3/kurtosis, 1/2)),   a = sqrt(2 + 6/kurtosis)
    """
    _check(kurtosis)
    if kurtosis == 0:
        return math.sqrt(2 / math.pi)
    a = math.sqrt(2 + 6 / kurtosis)
    return float(a / ((1.5 + 3 / kurtosis) * special.beta(2 + 3 / kurtosis, 0.5)))


def mean_absolute_difference(kurtosis: float) -> float:
    """Return E|x - y| of two independent numbers, by an integral over the distribution function.

    E|x - y| = 2 integral of F(x) (1 - F(x)) dx
    """
    _check(kurtosis)
    if kurtosis == 0:
        return 2 / math.sqrt(math.pi)
    freedom = 4 + 6 / kurtosis
    scale = math.sqrt((freedom - 2) / freedom)

    def product(value: float) -> float:
        return float(special.stdtr(freedom, value) * special.stdtr(freedom, -value))

    half, _ = integrate.quad(product, 0, np.inf, epsabs=1e-13, epsrel=1e-11)
    return float(4 * scale * half)


def limit_ratio(kurtosis: float) -> float:
    """Return the scaled ratio for many dimensions: E[x^2] / (E|x - y| E|x|), E[x^2] = 1.

    For kurtosis 0 it is pi / (2 sqrt 2) = 1.1107.

    >>> round(limit_ratio(0.0), 4)
    1.1107
    """
    return 1 / (mean_absolute_difference(kurtosis) * mean_absolute(kurtosis))


def scaled_ratio(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Return ||w_1||_2^2 / ||w_2 - w_1||_1 over the mean |w_1| of its nonzero components.

    Length does not matter: both weights may be multiplied by one number.

    Raises:
        EvaluationError: The weights are the same, or all zero.

    Source:
        Nayebi and Ganguli 2017, Eq. 14 and Figure 6.
    """
    distance = float(np.abs(second - first).sum())
    nonzero = np.abs(first[first != 0])
    if not distance > 0 or not len(nonzero):
        raise EvaluationError("two equal weight vectors, or one of zeros, have no ratio")
    return float(np.square(first).sum() / distance / nonzero.mean())


@dataclass(frozen=True, slots=True, kw_only=True)
class RatioSample:
    """Scaled ratios of random weights.

    Attributes:
        label: What they were drawn from.
        kurtosis: Excess kurtosis of the distribution.
        mean: Of the ratio, over pairs.
        deviation: Its standard deviation over pairs, of the sample.
        limit: What it is for many dimensions; NaN where there is no formula.
    """

    label: str
    kurtosis: float
    mean: float
    deviation: float
    limit: float


def pearson_ratios(
    kurtoses: tuple[float, ...], *, dimension: int = 20_000, pairs: int = 20, seed: int = 0
) -> tuple[RatioSample, ...]:
    """Draw unit vectors from Pearson type VII distributions and return their scaled ratios.

    Args:
        kurtoses: Excess kurtosis of each distribution, >= 0.
        dimension: Of the vectors; 20 000 as in the paper.
        pairs: How many pairs of vectors for each, >= 2.
        seed: Of the numbers.

    Source:
        Nayebi and Ganguli 2017, section 8 and Figure 6.
    """
    found = []
    for number, kurtosis in enumerate(kurtoses):
        generator = np.random.default_rng((seed, number))
        draw = partial(draw_pearson, dimension, kurtosis, generator=generator)
        found.append(_sample(f"Pearson VII, {kurtosis:g}", kurtosis, limit_ratio(kurtosis), draw, pairs))
    return tuple(found)


def empirical_ratio(
    label: str, weights: NDArray[np.float64], *, dimension: int = 20_000, pairs: int = 20, seed: int = 0
) -> RatioSample:
    """Return the scaled ratios of vectors drawn from the weights of a layer, with replacement.

    Drawing with replacement is inverse transform sampling from their empirical distribution.

    Args:
        label: What the weights are.
        weights: Any shape, not all the same.
        dimension: Of the vectors.
        pairs: How many pairs, >= 2.
        seed: Of the draws.

    Source:
        Nayebi and Ganguli 2017, section 8.
    """
    flat = np.asarray(weights, np.float64).ravel()
    generator = np.random.default_rng(seed)
    kurtosis = float(stats.kurtosis(flat))
    return _sample(label, kurtosis, math.nan, lambda: generator.choice(flat, dimension), pairs)


def _sample(
    label: str, kurtosis: float, limit: float, draw: Callable[[], NDArray[np.float64]], pairs: int
) -> RatioSample:
    if pairs < 2:
        raise EvaluationError(f"'pairs' must be >= 2, got {pairs}")
    ratios = []
    for _ in range(pairs):
        first, second = draw(), draw()
        ratios.append(scaled_ratio(first / np.linalg.norm(first), second / np.linalg.norm(second)))
    return RatioSample(
        label=label,
        kurtosis=kurtosis,
        mean=float(np.mean(ratios)),
        deviation=float(np.std(ratios, ddof=1)),
        limit=limit,
    )


def _check(kurtosis: float) -> None:
    if not 0 <= kurtosis < math.inf:
        raise EvaluationError(
            f"the excess kurtosis of a Pearson type VII distribution is >= 0, got {kurtosis}"
        )
