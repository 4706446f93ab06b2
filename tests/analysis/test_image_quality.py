import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepdefense.analysis import mean_squared_error, peak_signal_to_noise, structural_similarity
from sleepdefense.errors import EvaluationError


def slow_ssim(x: list[list[float]], y: list[list[float]]) -> float:
    """Wang et al. 2004, Eqs. 13-16, word by word: every window by itself, weights over both axes at once."""
    weight = [[math.exp(-((i - 5) ** 2 + (j - 5) ** 2) / (2 * 1.5**2)) for j in range(11)] for i in range(11)]
    total = sum(map(sum, weight))
    values = []
    for top in range(len(x) - 10):
        for left in range(len(x[0]) - 10):
            places = [(i, j) for i in range(11) for j in range(11)]
            mean_x = sum(weight[i][j] / total * x[top + i][left + j] for i, j in places)
            mean_y = sum(weight[i][j] / total * y[top + i][left + j] for i, j in places)
            variance_x = variance_y = covariance = 0.0
            for i, j in places:
                dx, dy = x[top + i][left + j] - mean_x, y[top + i][left + j] - mean_y
                variance_x += weight[i][j] / total * dx * dx
                variance_y += weight[i][j] / total * dy * dy
                covariance += weight[i][j] / total * dx * dy
            luminance = (2 * mean_x * mean_y + 0.0001) / (mean_x**2 + mean_y**2 + 0.0001)
            structure = (2 * covariance + 0.0009) / (variance_x + variance_y + 0.0009)
            values.append(luminance * structure)
    return sum(values) / len(values)


@settings(max_examples=10)
@given(st.integers(0, 2**16), st.sampled_from([0.0, 0.02, 0.3]))
def test_similarity_is_that_of_the_slow_twin(seed: int, noise: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    clean = torch.rand(2, 1, 13, 12, generator=generator)
    images = (clean + noise * torch.randn(clean.shape, generator=generator)).clamp(0, 1)
    expected = [slow_ssim(x[0].tolist(), y[0].tolist()) for x, y in zip(images, clean, strict=True)]
    torch.testing.assert_close(structural_similarity(images, clean).tolist(), expected, rtol=1e-9, atol=1e-9)


def test_similarity_by_hand() -> None:
    """Flat images have no variance: (2 mu_x mu_y + C1) / (mu_x^2 + mu_y^2 + C1) is left."""
    dark, light = torch.full((1, 1, 16, 16), 0.25), torch.full((1, 1, 16, 16), 0.75)
    expected = (2 * 0.25 * 0.75 + 1e-4) / (0.25**2 + 0.75**2 + 1e-4)
    assert float(structural_similarity(dark, light)) == pytest.approx(expected, abs=1e-9)
    noise = torch.rand(3, 2, 14, 14, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(structural_similarity(noise, noise), torch.ones(3, dtype=torch.float64))
    inverse = 1 - noise  # means near one half, covariance the negative of the variance
    assert float(structural_similarity(noise, inverse).max()) < -0.8


def test_channels_count_alike() -> None:
    generator = torch.Generator().manual_seed(1)
    x, y = torch.rand(2, 3, 12, 12, generator=generator), torch.rand(2, 3, 12, 12, generator=generator)
    parts = torch.stack([structural_similarity(x[:, c : c + 1], y[:, c : c + 1]) for c in range(3)])
    torch.testing.assert_close(structural_similarity(x, y), parts.mean(0))


def test_images_below_a_window_are_refused() -> None:
    small = torch.zeros(1, 1, 10, 28)
    with pytest.raises(EvaluationError, match=r"images of 10x28 pixels are too small .*: expected 11x11"):
        structural_similarity(small, small)


def test_error_and_peak_ratio_by_hand() -> None:
    """Four pixels, one off by 1/2: error 1/16, ratio 10 log10 16. An image is judged by itself."""
    clean = torch.zeros(2, 1, 2, 2)
    images = clean.clone()
    images[0, 0, 0, 0] = 0.5
    assert mean_squared_error(images, clean).tolist() == [0.0625, 0.0]
    first, second = peak_signal_to_noise(images, clean).tolist()
    assert first == pytest.approx(10 * math.log10(16))
    assert second == math.inf
