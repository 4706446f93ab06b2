"""Images out of a spiking autoencoder: those it is shown, and those it makes up."""

import math

import numpy as np
import torch
from jaxtyping import Float
from scipy.special import ndtri
from torch import Tensor

from sleepdefense.errors import ConversionError
from sleepdefense.shapes import Images
from sleepdefense.spiking.autoencoder import decode, latent_nodes
from sleepdefense.spiking.network import SpikingNetwork
from sleepdefense.spiking.simulate import simulate

BATCH = 128
"""Images at a time, of no influence on any result."""


@torch.no_grad()
def reconstruct(
    network: SpikingNetwork,
    images: Images,
    num_steps: int,
    *,
    encoder: str = "current",
    seed: int = 0,
    first: int = 0,
) -> Images:
    """Send images through the spiking encoder, the mean of the latent and the spiking decoder.

    Args:
        network: A converted variational autoencoder, or any converted purifier whose result is "image".
        images: (batch, channel, height, width), in [0, 1].
        num_steps: Steps of the encoder, and again of the decoder, >= 1. The more, the closer to the awake
            network.
        encoder: "current" or "bernoulli", as in `simulate`.
        seed: Of the random spikes.
        first: Number of the first image in its data set, for the random spikes.

    Returns:
        The reconstructions, (batch, channel, height, width), float32, in [0, 1]; the same bits in whatever
        batch.

    Raises:
        ConversionError: The network gives no "image", or `simulate` refuses the request.
    """
    if "image" not in network.outputs:
        raise ConversionError(
            f"the network gives {', '.join(network.outputs)}: expected an 'image', as of a converted purifier"
        )
    parts = []
    for place in range(0, len(images), BATCH):
        batch = images[place : place + BATCH]
        index = torch.arange(first + place, first + place + len(batch))
        record = simulate(network, batch, num_steps=num_steps, encoder=encoder, seed=seed, index=index)
        parts.append(record.outputs["image"].float())
    return torch.cat(parts)


@torch.no_grad()
def sample(network: SpikingNetwork, num: int, seed: int, num_steps: int, *, first: int = 0) -> Images:
    """Make up images: latents from the prior N(0, 1), decoded by the spiking decoder.

    Image number i is a function of the network, `seed`, `num_steps` and i: asking for more, or for a part,
    gives the same images.

    Args:
        network: A converted variational autoencoder.
        num: How many, >= 1.
        seed: In [0, 2**63).
        num_steps: Steps of the decoder, >= 1.
        first: Number of the first image, >= 0.

    Returns:
        (image, channel, height, width), float32, in [0, 1].

    Raises:
        ConversionError: The network is no variational autoencoder, or a number is out of range.
    """
    mean, _ = latent_nodes(network)
    latents = prior_latents(num, math.prod(mean.shape), seed=seed, first=first)
    parts = []
    for place in range(0, num, BATCH):
        batch = latents[place : place + BATCH].to(_device(network))
        index = torch.arange(first + place, first + place + len(batch))
        parts.append(decode(network, batch, num_steps=num_steps, seed=seed, index=index).image.float())
    return torch.cat(parts)


def prior_latents(num: int, units: int, *, seed: int, first: int = 0) -> Float[Tensor, "image unit"]:
    """Draw latents from the prior N(0, 1).

    Latent number i is the inverse normal distribution of the words of a Philox generator whose key is
    (seed, i): of nothing else, so that no batch changes it.

    Args:
        num: How many, >= 1.
        units: Units of each, >= 1.
        seed: In [0, 2**63).
        first: Number of the first latent, >= 0.

    Returns:
        (image, unit), float64.

    Raises:
        ConversionError: A number is out of range.

    >>> torch.equal(prior_latents(3, 4, seed=1)[1:], prior_latents(2, 4, seed=1, first=1))
    True
    """
    if num < 1 or units < 1 or not 0 <= seed < 2**63 or first < 0:
        raise ConversionError(
            f"expected num >= 1, units >= 1, seed in [0, 2**63) and first >= 0, got {num}, {units}, {seed} "
            f"and {first}"
        )
    words = np.stack(
        [
            np.random.Philox(key=np.array([seed, first + number], dtype=np.uint64)).random_raw(units)
            for number in range(num)
        ]
    )
    uniform = ((words >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53  # in (0, 1), ends left out
    return torch.from_numpy(ndtri(uniform))


def _device(network: SpikingNetwork) -> torch.device:
    """Return where the weights of a network are."""
    return next(iter(network.weights.values())).device
