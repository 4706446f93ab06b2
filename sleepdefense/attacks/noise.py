"""Random numbers that belong to an image, not to a batch.

A draw is a function of (seed, stream name, index of the image in its data set, position) and of nothing else:
splitting a data set into other batches, skipping finished work or changing the order gives the same numbers.
"""

import hashlib

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

Noise = Float[Tensor, "batch *unit"]
"""Random numbers for each image, (batch, *unit)."""

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


def derive_seed(seed: int, purpose: str) -> int:
    """Give a seed of its own to one purpose, so that two uses of one seed do not share numbers.

    Args:
        seed: Any integer.
        purpose: A name, such as "pairs".

    Returns:
        An integer in [0, 2**63).
    """
    digest = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def uniform_noise(index: NDArray[np.int64], shape: tuple[int, ...], *, seed: int, stream: str) -> Noise:
    """Draw uniform numbers for each image.

    Args:
        index: Index of each image in its data set, (batch,).
        shape: Shape of one image's draw, such as (channel, height, width).
        seed: Seed of the run.
        stream: Name of what the numbers are for; other names give other numbers.

    Returns:
        Float32 numbers in [0, 1), multiples of 2**-24, (batch, *shape).
    """
    bits = _bits(index, int(np.prod(shape, dtype=np.int64)), seed=seed, stream=stream)
    values = (bits >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-24)
    return torch.from_numpy(values.reshape(len(index), *shape))


def normal_noise(index: NDArray[np.int64], shape: tuple[int, ...], *, seed: int, stream: str) -> Noise:
    """Draw numbers from the standard normal distribution for each image (Box and Muller).

    Args:
        index: Index of each image in its data set, (batch,).
        shape: Shape of one image's draw.
        seed: Seed of the run.
        stream: Name of what the numbers are for.

    Returns:
        Float32 numbers of mean 0 and variance 1, (batch, *shape).
    """
    size = int(np.prod(shape, dtype=np.int64))
    bits = _bits(index, 2 * size, seed=seed, stream=stream) >> np.uint64(11)
    radius = np.sqrt(-2.0 * np.log((bits[:, :size] + np.uint64(1)) * 2.0**-53))
    angle = (2.0 * np.pi * 2.0**-53) * bits[:, size:]
    values = (radius * np.cos(angle)).astype(np.float32)
    return torch.from_numpy(values.reshape(len(index), *shape))


def sign_noise(index: NDArray[np.int64], shape: tuple[int, ...], *, seed: int, stream: str) -> Noise:
    """Draw -1 or 1, each with probability one half, for each image: the sign of normal noise.

    Args:
        index: Index of each image in its data set, (batch,).
        shape: Shape of one image's draw.
        seed: Seed of the run.
        stream: Name of what the numbers are for.

    Returns:
        Float32 numbers -1 or 1, (batch, *shape).
    """
    bits = _bits(index, int(np.prod(shape, dtype=np.int64)), seed=seed, stream=stream)
    values = (bits >> np.uint64(63)).astype(np.float32) * np.float32(2.0) - np.float32(1.0)
    return torch.from_numpy(values.reshape(len(index), *shape))


def _bits(index: NDArray[np.int64], size: int, *, seed: int, stream: str) -> NDArray[np.uint64]:
    """Return `size` words of splitmix64 (Steele et al. 2014) for each image, (batch, size)."""
    key = hashlib.sha256(f"{seed}/{stream}".encode()).digest()
    start = np.frombuffer(key[:8], dtype="<u8").astype(np.uint64)
    image = _mix(start ^ _mix((index.astype(np.uint64) + np.uint64(1)) * _GOLDEN))
    counter = np.arange(1, size + 1, dtype=np.uint64) * _GOLDEN
    return _mix(image[:, None] + counter[None, :])


def _mix(word: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Scramble 64-bit words: the output function of splitmix64."""
    word = (word ^ (word >> np.uint64(30))) * _FIRST
    word = (word ^ (word >> np.uint64(27))) * _SECOND
    return word ^ (word >> np.uint64(31))
