"""The evidence lower bound of a variational autoencoder, awake or spiking, in its two terms."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sleepdefense.analysis.responses import BATCH
from sleepdefense.attacks.gradient import evaluation_mode
from sleepdefense.attacks.noise import derive_seed, normal_noise
from sleepdefense.errors import EvaluationError
from sleepdefense.kernels import bernoulli_train
from sleepdefense.models.vae import AbstractVAE, kl_divergence
from sleepdefense.shapes import Images
from sleepdefense.spiking import SpikingNetwork, decode, encode, train_log_likelihood

TARGETS = ("image", "train")
"""What can be reconstructed."""


class Bound(NamedTuple):
    """The two terms of the bound of each image, in nats.

    Attributes:
        reconstruction: E_q[log p(x | z)], <= 0, (batch,).
        divergence: KL(q(z | x*) || N(0, 1)), >= 0, (batch,).
    """

    reconstruction: Float[Tensor, " batch"]
    divergence: Float[Tensor, " batch"]

    @property
    def elbo(self) -> Float[Tensor, " batch"]:
        """Reconstruction minus divergence: higher is better, (batch,)."""
        return self.reconstruction - self.divergence


@torch.no_grad()
def evidence_bound(
    network: AbstractVAE | SpikingNetwork,
    noisy: Images,
    clean: Images,
    *,
    num_steps: int = 64,
    draws: int = 0,
    target: str = "image",
    encoder: str = "current",
    seed: int = 0,
    first: int = 0,
) -> Bound:
    """Return the evidence lower bound of each image, with weight 1 on the divergence.

        L = E_q(z | x*)[log p(x | z)] - KL(q(z | x*) || N(0, 1))

        target "image":  log p(x | z) = sum over k of x_k log rho_k(z) + (1 - x_k) log(1 - rho_k(z))
        target "train":  the same of the spikes X_k(t), summed over the num_steps steps t of a Bernoulli train
                         of the clean image

    A spiking network gets q from its encoder and the rates rho from its decoder. The divergence is paid once,
    however long the train; with "image" the bound can be compared with the awake network's.

    Args:
        network: A variational autoencoder, awake or converted.
        noisy: What is encoded, (batch, channel, height, width), in [0, 1].
        clean: What shall be reconstructed, shaped alike.
        num_steps: Steps of a spiking encoder, of a spiking decoder, and of the train of target "train".
        draws: Samples of z that E_q averages; 0 takes z = mean, as the measure along a sleep does: as a rule
            higher than the bound.
        target: "image" or "train".
        encoder: What a spiking encoder sees, "current" or "bernoulli".
        seed: Of z, of the spikes and of the train; an image's numbers depend on this and its number alone.
        first: Number of the first image in its data set.

    Returns:
        Both terms, float64.

    Raises:
        EvaluationError: A number is out of range, or the target is unknown.
        ConversionError: The network is no variational autoencoder, or was converted for other images.

    Source:
        Talafha et al. 2023, Eqs. 1 and 4; what Eqs. 3-5 can mean here: `sleepdefense.spiking.likelihood`.
    """
    if draws < 0 or num_steps < 1 or first < 0:
        raise EvaluationError(
            f"expected draws >= 0, num_steps >= 1 and first >= 0, got {draws}, {num_steps} and {first}"
        )
    if target not in TARGETS:
        raise EvaluationError(f"unknown target '{target}': expected {' or '.join(TARGETS)}")
    model: _Spiking | _Awake
    if isinstance(network, SpikingNetwork):
        model = _Spiking(network, num_steps, encoder, seed)
    else:
        model = _Awake(network)
    terms = []
    for place in range(0, len(noisy), BATCH):
        part = slice(place, place + BATCH)
        index = np.arange(first + place, first + place + len(noisy[part]))
        counts, steps = clean[part].double(), 1
        if target == "train":
            counts, steps = _counts(clean[part], index, num_steps, seed), num_steps
        mean, log_variance = model.encode(noisy[part], index)
        likelihood = torch.zeros(len(mean), dtype=torch.float64, device=mean.device)
        for draw in range(max(draws, 1)):
            latent = mean
            if draws:
                unit_noise = normal_noise(index, tuple(mean.shape[1:]), seed=seed, stream=f"latent {draw}")
                latent = mean + torch.exp(0.5 * log_variance) * unit_noise.to(mean)
            likelihood += train_log_likelihood(counts, model.logits(latent, index), steps)
        terms.append((likelihood / max(draws, 1), kl_divergence(mean, log_variance)))
    return Bound(*(torch.cat(values) for values in zip(*terms, strict=True)))


class _Awake:
    """The halves of an awake network."""

    def __init__(self, network: AbstractVAE) -> None:
        self._network = network

    def encode(self, images: Images, index: object) -> tuple[Tensor, Tensor]:
        with evaluation_mode(self._network):
            mean, log_variance = self._network.encode(images)
        return mean.double(), log_variance.double()

    def logits(self, latent: Tensor, index: object) -> Tensor:
        with evaluation_mode(self._network):
            return self._network.decode(latent.float()).double()


class _Spiking:
    """The halves of a spiking network."""

    def __init__(self, network: SpikingNetwork, num_steps: int, encoder: str, seed: int) -> None:
        self._network = network
        self._num_steps = num_steps
        self._encoder = encoder
        self._seed = seed

    def encode(self, images: Images, index: np.ndarray) -> tuple[Tensor, Tensor]:
        return encode(
            self._network,
            images,
            num_steps=self._num_steps,
            encoder=self._encoder,
            seed=self._seed,
            index=torch.from_numpy(index),
        )

    def logits(self, latent: Tensor, index: np.ndarray) -> Tensor:
        found = decode(
            self._network,
            latent,
            num_steps=self._num_steps,
            seed=self._seed,
            index=torch.from_numpy(index),
        )
        return found.logits


def _counts(clean: Images, index: np.ndarray, num_steps: int, seed: int) -> Tensor:
    """Return how often each pixel of a Bernoulli train spikes, (batch, channel, height, width)."""
    train = bernoulli_train(
        np.ascontiguousarray(clean.cpu().float().numpy()),
        index.astype(np.int64),
        seed=derive_seed(seed, "train to be reconstructed"),
        first_step=0,
        num_steps=num_steps,
    )
    return torch.from_numpy(train.sum(0, dtype=np.float64)).to(clean.device)
