"""How close images are to others: squared error, peak signal-to-noise ratio, structural similarity."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from sleepdefense.errors import EvaluationError
from sleepdefense.shapes import Images

WINDOW, SIGMA = 11, 1.5
"""Width and standard deviation of the Gaussian window, in pixels."""

K1, K2 = 0.01, 0.03


def mean_squared_error(images: Images, clean: Images) -> Float[Tensor, " batch"]:
    """Return the mean of (image - clean)^2 over all pixels and channels, (batch,), float64.

    Args:
        images: (batch, channel, height, width), in [0, 1].
        clean: What they should be, shaped alike.
    """
    return (images.double() - clean.double()).square().flatten(1).mean(1)


def peak_signal_to_noise(images: Images, clean: Images) -> Float[Tensor, " batch"]:
    """Return the peak signal-to-noise ratio for a range of 1, in decibels, (batch,), float64.

        PSNR = -10 log10(MSE)

    Args:
        images: (batch, channel, height, width), in [0, 1].
        clean: What they should be, shaped alike.

    Returns:
        One number an image; infinite where both are the same.

    >>> peak_signal_to_noise(torch.full((1, 1, 2, 2), 0.1), torch.zeros(1, 1, 2, 2)).round(decimals=4)
    tensor([20.], dtype=torch.float64)
    """
    return -10.0 * torch.log10(mean_squared_error(images, clean))


def structural_similarity(images: Images, clean: Images) -> Float[Tensor, " batch"]:
    """Return the mean structural similarity (SSIM), (batch,), float64.

        SSIM(x, y) = (2 mu_x mu_y + C1)(2 s_xy + C2) / ((mu_x^2 + mu_y^2 + C1)(s_x^2 + s_y^2 + C2)),
        C1 = (K1 L)^2,  C2 = (K2 L)^2,  K1 = 0.01,  K2 = 0.03,  L = 1,

    with means, variances and covariance under an 11x11 Gaussian window of standard deviation 1.5 pixels whose
    weights sum to 1, so the variances are those of a population. The mean is taken over the windows that lie
    within the image, and over the channels.

    Args:
        images: (batch, channel, height, width), in [0, 1]; height and width >= 11.
        clean: What they should be, shaped alike.

    Returns:
        One number an image, in [-1, 1]; 1 where both are the same.

    Raises:
        EvaluationError: The images are smaller than a window.

    Source:
        Wang, Bovik, Sheikh and Simoncelli 2004, Eqs. 13-16. scikit-image's `structural_similarity` gives the
        same with `gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1`.
    """
    batch, channels, height, width = images.shape
    if min(height, width) < WINDOW:
        raise EvaluationError(
            f"images of {height}x{width} pixels are too small for structural similarity: expected "
            f"{WINDOW}x{WINDOW} or more"
        )
    offset = torch.arange(WINDOW, dtype=torch.float64, device=images.device) - WINDOW // 2
    weight = torch.exp(-0.5 * (offset / SIGMA) ** 2)
    weight = weight / weight.sum()

    def average(values: Tensor) -> Tensor:
        rows = F.conv2d(values.reshape(-1, 1, height, width), weight.reshape(1, 1, -1, 1))
        return F.conv2d(rows, weight.reshape(1, 1, 1, -1))

    x, y = images.double(), clean.double()
    mean_x, mean_y = average(x), average(y)
    variance_x = average(x * x) - mean_x**2
    variance_y = average(y * y) - mean_y**2
    covariance = average(x * y) - mean_x * mean_y
    c1, c2 = K1**2, K2**2
    similarity = ((2 * mean_x * mean_y + c1) * (2 * covariance + c2)) / (
        (mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2)
    )
    return similarity.reshape(batch, channels, -1).mean((1, 2))
