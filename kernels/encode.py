"""Pixel intensities to Bernoulli spike trains, by a generator that has no state.

Each random number is a function of (seed, image, step, pixel) alone, so a train is the same in whatever
batch, order or thread it is made.
"""

import numpy as np
from numpy.typing import NDArray

from sleepdefense.kernels._checks import check_array, check_integer
from sleepdefense.kernels._jit import Integer, kernel, part

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2**64 divided by the golden ratio, odd: the increment of splitmix64
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_LOW_HALF = np.uint64(0xFFFFFFFF)


@part
def _splitmix64(state: np.uint64) -> np.uint64:
    """Mix 64 bits (Steele, Lea and Flood 2014)."""
    z = state + _GOLDEN
    z = (z ^ (z >> np.uint64(30))) * _MIX_1
    z = (z ^ (z >> np.uint64(27))) * _MIX_2
    return z ^ (z >> np.uint64(31))


@part
def _image_key(seed: np.uint64, index: Integer) -> np.uint64:
    """Give each (seed, image) a stream of its own."""
    return _splitmix64(seed * _GOLDEN + np.uint64(index))


@part
def _spike_bounds_(bound: NDArray[np.uint64], image: NDArray[np.float32]) -> None:
    """Turn intensities p into the numbers rint(p * 2**32) below which a 32-bit draw is a spike."""
    for pixel in range(image.size):
        bound[pixel] = np.uint64(np.rint(np.float64(image[pixel]) * 4294967296.0))


@part
def _draw_spikes_(
    spikes: NDArray[np.uint8], bound: NDArray[np.uint64], key: np.uint64, step: Integer
) -> None:
    """Draw the spikes of one image in one step; each 64-bit word serves two neighbouring pixels."""
    row = np.uint64(step) << np.uint64(32)
    for pair in range(bound.size // 2):
        word = _splitmix64(key + (row + np.uint64(pair)) * _GOLDEN)
        spikes[2 * pair] = (word & _LOW_HALF) < bound[2 * pair]
        spikes[2 * pair + 1] = (word >> np.uint64(32)) < bound[2 * pair + 1]
    if bound.size % 2 == 1:
        word = _splitmix64(key + (row + np.uint64(bound.size // 2)) * _GOLDEN)
        spikes[bound.size - 1] = (word & _LOW_HALF) < bound[bound.size - 1]


@kernel
def _bernoulli_train_(
    spikes: NDArray[np.uint8],
    images: NDArray[np.float32],
    index: NDArray[np.int64],
    seed: np.uint64,
    first_step: Integer,
) -> None:
    """Fill the train (time, image, pixel)."""
    bound = np.empty(images.shape[1], dtype=np.uint64)
    for image in range(images.shape[0]):
        _spike_bounds_(bound, images[image])
        key = _image_key(seed, index[image])
        for step in range(spikes.shape[0]):
            _draw_spikes_(spikes[step, image], bound, key, first_step + step)


def check_images(images: NDArray[np.float32], index: NDArray[np.int64]) -> None:
    """Refuse images that are no probabilities, or numbers that do not fit them."""
    if not (np.min(images, initial=0.0) >= 0.0 and np.max(images, initial=0.0) <= 1.0):
        raise ValueError("'images' must lie in [0, 1] and hold no NaN: they are spike probabilities")
    check_array("index", index, np.int64, "image")
    if len(index) != len(images):
        raise ValueError(f"'index' must number each of the {len(images)} images, got {len(index)} numbers")
    if np.min(index, initial=0) < 0:
        raise ValueError(f"'index' must not be negative, got {np.min(index)}")


def bernoulli_train(
    images: NDArray[np.float32],
    index: NDArray[np.int64],
    *,
    seed: int,
    first_step: int,
    num_steps: int,
) -> NDArray[np.uint8]:
    """Draw Bernoulli spike trains: in each step a pixel of intensity p spikes with probability p.

        key  = splitmix64(seed * G + index),    G = 0x9E3779B97F4A7C15, all modulo 2**64
        word = splitmix64(key + (step * 2**32 + pixel // 2) * G)
        u    = low half of the word for an even pixel, high half for an odd one
        spike if u < rint(p * 2**32)            so p = 0 never spikes and p = 1 always does

    A spike depends on (seed, index, step, pixel) only: not on the batch, its order, or the image's size.

    Args:
        images: Intensities, (image, *pixel), float32, in [0, 1], C-contiguous.
        index: The number of each image in its data set, (image,), int64, >= 0.
        seed: In [0, 2**63).
        first_step: The step at which the train begins, >= 0; a train may be drawn in parts.
        num_steps: Steps to draw, >= 0.

    Returns:
        0/1 spikes, (time, image, *pixel), uint8.

    Raises:
        ValueError: An argument has another type, shape or range.

    Source:
        Talafha et al. 2023, section 3.3 ("Bernoulli spike-trains"); splitmix64: Steele, Lea and Flood 2014.

    >>> image = np.array([[0.0, 0.5, 1.0]], dtype=np.float32)
    >>> bernoulli_train(image, np.array([7]), seed=1, first_step=0, num_steps=5)[:, 0]
    array([[0, 0, 1],
           [0, 1, 1],
           [0, 1, 1],
           [0, 1, 1],
           [0, 0, 1]], dtype=uint8)
    """
    check_array(
        "images", images, np.float32, "image " + " ".join(f"pixel{i}" for i in range(images.ndim - 1))
    )
    check_images(images, index)
    seed = check_integer("seed", seed, least=0, most=2**63 - 1)
    first_step = check_integer("first_step", first_step, least=0)
    num_steps = check_integer("num_steps", num_steps, least=0)
    check_integer("first_step + num_steps", first_step + num_steps, least=0)
    spikes: NDArray[np.uint8] = np.empty((num_steps, *images.shape), dtype=np.uint8)
    num_pixels = int(np.prod(images.shape[1:]))
    train = spikes.reshape(num_steps, len(images), num_pixels)
    with np.errstate(over="ignore"):  # 64-bit words wrap around on purpose; seen only with the compiler off
        _bernoulli_train_(train, images.reshape(len(images), num_pixels), index, np.uint64(seed), first_step)
    return spikes
