"""A spiking variational autoencoder in two halves: from images to a latent, and from a latent to images.

The latent of a converted autoencoder carries signed values, which no spike can: mean and log variance are
read from the membrane of neurons that do not fire, and what is decoded acts on the decoder as a constant
current. So an encoder and a decoder of spiking neurons meet at a Gaussian latent, as they do awake.
"""

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from sleepdefense.errors import ConversionError
from sleepdefense.shapes import Images
from sleepdefense.spiking.backend import AbstractBackend
from sleepdefense.spiking.network import SpikingNetwork, SpikingNode
from sleepdefense.spiking.simulate import simulate, simulate_from

RESULTS = ("image", "mean", "log_variance")
"""What a converted variational autoencoder computes, by name."""


class Latent(NamedTuple):
    """The latent of a batch, in units of the awake network.

    Attributes:
        mean: (batch, unit).
        log_variance: (batch, unit).
    """

    mean: Float[Tensor, "batch unit"]
    log_variance: Float[Tensor, "batch unit"]


class Decoded(NamedTuple):
    """What a decoder makes of a latent.

    Attributes:
        image: (batch, channel, height, width), in [0, 1].
        logits: What the sigmoid is taken of, shaped alike.
    """

    image: Images
    logits: Images


def encode(
    network: SpikingNetwork,
    images: Images,
    *,
    num_steps: int,
    backend: AbstractBackend | None = None,
    encoder: str = "current",
    seed: int = 0,
    index: Tensor | None = None,
) -> Latent:
    """Run the encoder.

    Args:
        network: A converted variational autoencoder.
        images: (batch, channel, height, width), in [0, 1].
        num_steps: Steps, >= 1.
        backend: The simulator of the neurons, as in `simulate`.
        encoder: "current" or "bernoulli", as in `simulate`.
        seed: Of the random spikes.
        index: Number of each image in its data set, as in `simulate`.

    Returns:
        Mean and log variance, in float64.

    Raises:
        ConversionError: The network is no variational autoencoder, or `simulate` refuses the request.
    """
    mean, log_variance = latent_nodes(network)
    record = simulate(
        network,
        images,
        num_steps=num_steps,
        backend=backend,
        encoder=encoder,
        seed=seed,
        index=index,
        until={mean.name, log_variance.name},
    )
    return Latent(record.means[mean.name] * mean.scale, record.means[log_variance.name] * log_variance.scale)


def decode(
    network: SpikingNetwork,
    latent: Float[Tensor, "batch unit"],
    *,
    num_steps: int,
    backend: AbstractBackend | None = None,
    seed: int = 0,
    index: Tensor | None = None,
) -> Decoded:
    """Run the decoder.

    Args:
        network: A converted variational autoencoder.
        latent: In units of the awake network, (batch, unit).
        num_steps: Steps, >= 1.
        backend: The simulator of the neurons, as in `simulate`.
        seed: Of the random spikes.
        index: Number of each image, as in `simulate`.

    Returns:
        Pixels and their logits, in float64.

    Raises:
        ConversionError: The network is no variational autoencoder whose pixels are a sigmoid, or the latent
            has another number of units.
    """
    mean, _ = latent_nodes(network)
    pixels = network.node(network.outputs["image"])
    if pixels.op != "sigmoid":
        raise ConversionError(
            f"the pixels come from {pixels.op!r} at node {pixels.name!r}, expected a sigmoid: they are no "
            "probabilities"
        )
    record = simulate_from(
        network,
        {mean.name: latent.double() / mean.scale},
        num_steps=num_steps,
        backend=backend,
        seed=seed,
        index=index,
        until={pixels.name},
    )
    return Decoded(record.means[pixels.name], record.means[pixels.inputs[0]] * pixels.gains[0])


def latent_nodes(network: SpikingNetwork) -> tuple[SpikingNode, SpikingNode]:
    """Return the nodes that carry mean and log variance.

    Raises:
        ConversionError: The network is no variational autoencoder.
    """
    missing = [name for name in RESULTS if name not in network.outputs]
    if missing:
        raise ConversionError(
            f"the network gives {', '.join(network.outputs)}, without {', '.join(missing)}: expected a "
            "converted variational autoencoder"
        )
    return network.node(network.outputs["mean"]), network.node(network.outputs["log_variance"])
