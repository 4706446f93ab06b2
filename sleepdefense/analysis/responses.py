"""Awake and spiking networks asked the same questions: what they make of images, and which code they give."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sleepdefense.attacks.gradient import evaluation_mode
from sleepdefense.errors import EvaluationError
from sleepdefense.models.base import AbstractPurifier
from sleepdefense.shapes import Images
from sleepdefense.spiking import SpikingNetwork, encode, reconstruct

Network = nn.Module | SpikingNetwork
"""A network, awake or spiking."""

BATCH = 128
"""Images at a time."""


@torch.no_grad()
def reconstruction_of(network: Network, images: Images, *, num_steps: int) -> Images:
    """Return what a purifier makes of images, at the mean of the latent.

    Args:
        network: Any module from images to images, or a converted one.
        images: (batch, channel, height, width), in [0, 1].
        num_steps: Steps of a spiking network.

    Returns:
        (batch, channel, height, width), float32, in [0, 1].
    """
    if isinstance(network, SpikingNetwork):
        return reconstruct(network, images, num_steps)
    with evaluation_mode(network):
        return torch.cat([network(batch) for batch in images.split(BATCH)]).float()


@torch.no_grad()
def latent_mean_of(network: Network, images: Images, *, num_steps: int) -> Float[Tensor, "batch unit"]:
    """Return the mean of the latent of each image.

    Args:
        network: A purifier with a latent, or a converted one.
        images: (batch, channel, height, width), in [0, 1].
        num_steps: Steps of a spiking network.

    Returns:
        (batch, unit), float64.

    Raises:
        EvaluationError: The network has no latent.
    """
    if isinstance(network, SpikingNetwork):
        parts = [encode(network, batch, num_steps=num_steps).mean for batch in images.split(BATCH)]
    elif isinstance(network, AbstractPurifier):
        with evaluation_mode(network):
            parts = [network.outputs(batch)["mean"] for batch in images.split(BATCH)]
    else:
        raise EvaluationError(
            f"a {type(network).__name__} has no latent code: expected a purifier, awake or spiking"
        )
    return torch.cat(parts).double()
