"""Bernoulli spike trains drawn where the images are: the generator of `kernels.bernoulli_train`, in torch.

Unsigned 64-bit words live in int64, whose sums and products wrap around alike; only the shift to the right
must be told that there is no sign.
"""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

_WORD = 2**64
_GOLDEN = 0x9E3779B97F4A7C15
_MIX_1 = 0xBF58476D1CE4E5B9
_MIX_2 = 0x94D049BB133111EB
_LOW_HALF = 2**32 - 1


def bernoulli_spikes(
    images: Float[Tensor, "image channel height width"],
    index: Int64[Tensor, " image"],
    *,
    seed: int,
    first_step: int,
    num_steps: int,
) -> Bool[Tensor, "time image channel height width"]:
    """Draw the spikes that `kernels.bernoulli_train` draws, on the device of the images.

    Args:
        images: Intensities, (image, channel, height, width), in [0, 1].
        index: The number of each image, (image,), >= 0, on the same device.
        seed: In [0, 2**63).
        first_step: The step at which the train begins, >= 0.
        num_steps: Steps to draw, >= 0.

    Source:
        `kernels.bernoulli_train`, where the equations stand.
    """
    device = images.device
    bound = torch.round(images.flatten(1).float().double() * 2.0**32).long()
    num_pixels = bound.shape[1]
    key = _splitmix64(index + _signed(seed * _GOLDEN))
    step = torch.arange(first_step, first_step + num_steps, device=device)[:, None, None]
    pair = torch.arange((num_pixels + 1) // 2, device=device)
    word = _splitmix64(key[:, None] + ((step << 32) + pair) * _signed(_GOLDEN))
    draw = torch.stack([word & _LOW_HALF, _shifted(word, 32)], dim=-1).flatten(2)[..., :num_pixels]
    spikes: Tensor = (draw < bound).unflatten(2, images.shape[1:])
    return spikes


def _splitmix64(state: Tensor) -> Tensor:
    """Mix 64 bits."""
    z = state + _signed(_GOLDEN)
    z = (z ^ _shifted(z, 30)) * _signed(_MIX_1)
    z = (z ^ _shifted(z, 27)) * _signed(_MIX_2)
    return z ^ _shifted(z, 31)


def _shifted(word: Tensor, bits: int) -> Tensor:
    """Shift to the right, zeros coming in."""
    shifted: Tensor = (word >> bits) & (2 ** (64 - bits) - 1)
    return shifted


def _signed(word: int) -> int:
    """Return the int64 of the same bits."""
    word %= _WORD
    return word - _WORD if word >= _WORD // 2 else word
