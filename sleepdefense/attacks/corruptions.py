"""Damage that knows nothing of the model: noise, blur, dead pixels. All keep intensities in [0, 1]."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from sleepdefense.shapes import Images


def gaussian_noise(
    images: Images, normal: Float[Tensor, "batch channel height width"], *, sigma: float
) -> Images:
    """Add normal noise.

    Args:
        images: (batch, channel, height, width), in [0, 1].
        normal: Standard normal numbers, shaped as `images`.
        sigma: Standard deviation, in intensities, > 0.

    Returns:
        clip(images + sigma * normal), in [0, 1].
    """
    return torch.clamp(images + sigma * normal, 0.0, 1.0)


def gaussian_blur(images: Images, *, sigma: float) -> Images:
    """Blur with a Gaussian, cut off at four sigma; beyond the rim the nearest pixel goes on.

    Args:
        images: (batch, channel, height, width), in [0, 1].
        sigma: Standard deviation, in pixels, > 0.

    Returns:
        Blurred images, in [0, 1], shaped as `images`.
    """
    radius = max(1, math.floor(4.0 * sigma + 0.5))
    offset = torch.arange(-radius, radius + 1, dtype=torch.float64)
    weight = torch.exp(-0.5 * (offset / sigma) ** 2)
    weight = (weight / weight.sum()).to(images)
    flat = images.reshape(-1, 1, *images.shape[-2:])
    flat = torch.nn.functional.pad(flat, (radius, radius, radius, radius), mode="replicate")
    flat = torch.nn.functional.conv2d(flat, weight.reshape(1, 1, -1, 1))
    flat = torch.nn.functional.conv2d(flat, weight.reshape(1, 1, 1, -1))
    return torch.clamp(flat.reshape(images.shape), 0.0, 1.0)


def salt_and_pepper(
    images: Images, uniform: Float[Tensor, "batch 1 height width"], *, share: float
) -> Images:
    """Turn a share of the pixels black or white, half of them each; all channels of a pixel alike.

    Args:
        images: (batch, channel, height, width), in [0, 1].
        uniform: A number in [0, 1) for each pixel.
        share: Expected share of replaced pixels, in (0, 1].

    Returns:
        Corrupted images, in [0, 1], shaped as `images`.
    """
    white = torch.where(uniform < share, torch.ones_like(images), images)
    return torch.where(uniform < share / 2, torch.zeros_like(images), white)
