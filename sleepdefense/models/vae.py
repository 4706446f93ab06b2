"""What all variational autoencoders share: the reparametrised loss, and the bound it comes from."""

import abc
import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import binary_cross_entropy, binary_cross_entropy_with_logits
from typing_extensions import override

from sleepdefense.errors import ConfigError
from sleepdefense.models.base import AbstractPurifier, traceable
from sleepdefense.shapes import Images, Labels


class DrawnVAE(NamedTuple):
    """One sample of a variational autoencoder, for a batch.

    Attributes:
        logits: Of the pixels, (batch, channel, height, width).
        mean: Of the latent, (batch, unit).
        log_variance: Of the latent, (batch, unit).
    """

    logits: Images
    mean: Float[Tensor, "batch unit"]
    log_variance: Float[Tensor, "batch unit"]


class AbstractVAE(AbstractPurifier):
    """A purifier made of an encoder to a Gaussian latent and a decoder to Bernoulli pixels.

    It minimises, for a noisy image x* of the clean image x,

        -log p(x | z) + kl_weight * KL(q(z | x*) || N(0, 1)),    z ~ q(z | x*) = N(mean, variance),

    the sum over the pixels of an image and the mean over the images. With kl_weight = 1 that is the
    negative evidence lower bound. `forward` and `outputs` use z = mean and are deterministic.

    Source:
        Talafha et al. 2023, Eq. 1 and the awake phase. Defense-VAE's public code sets the weight of the
        KL term to 0 in its MNIST runs, its paper and the CelebA code that followed to 1, the default.
    """

    def __init__(self, settings: dict[str, int | float], *, kl_weight: float) -> None:
        if not (math.isfinite(kl_weight) and kl_weight >= 0):
            raise ConfigError(f"setting 'kl_weight' of model '{self.name}' must be >= 0, got {kl_weight}")
        super().__init__(settings)
        self.kl_weight = kl_weight

    @abc.abstractmethod
    def encode(self, image: Images) -> tuple[Float[Tensor, "batch unit"], Float[Tensor, "batch unit"]]:
        """Return mean and log variance of the latent, each (batch, unit)."""

    @abc.abstractmethod
    def decode(self, latent: Float[Tensor, "batch unit"]) -> Images:
        """Return the logits of the pixels, (batch, channel, height, width)."""

    @override
    @traceable
    def forward(self, image: Images) -> Images:
        """Return the reconstruction, (batch, channel, height, width), in [0, 1], from the latent's mean."""
        mean, _ = self.encode(image)
        return torch.sigmoid(self.decode(mean))

    @override
    @traceable
    def outputs(self, image: Images) -> dict[str, Tensor]:
        """Return "image" as in `forward`, and "mean" and "log_variance" of the latent, (batch, unit)."""
        mean, log_variance = self.encode(image)
        return {"image": torch.sigmoid(self.decode(mean)), "mean": mean, "log_variance": log_variance}

    @override
    def loss(
        self, noisy: Images, clean: Images, label: Labels, *, generator: torch.Generator
    ) -> Float[Tensor, ""]:
        """Return the negative bound of the class, one sample of z an image; `label` plays no part."""
        return self.negative_bound(self.drawn(noisy, generator=generator), clean)

    def drawn(self, noisy: Images, *, generator: torch.Generator) -> DrawnVAE:
        """Return what the network makes of a batch with one sample of z an image."""
        mean, log_variance = self.encode(noisy)
        mean, log_variance = mean.float(), log_variance.float()
        logits = self.decode(reparametrised(mean, log_variance, generator=generator))
        return DrawnVAE(logits, mean, log_variance)

    def negative_bound(self, drawn: DrawnVAE, clean: Images) -> Float[Tensor, ""]:
        """Return the loss of the class, its mean over the images, of such a sample; also of a spiking one."""
        logits, mean, log_variance = drawn
        # On logits, so that a saturated pixel keeps a finite loss and a gradient.
        error = binary_cross_entropy_with_logits(logits.float(), clean, reduction="sum") / len(clean)
        return error + self.kl_weight * kl_divergence(mean, log_variance).mean()

    @override
    def elbo(self, outputs: dict[str, Tensor], clean: Images) -> Float[Tensor, " batch"]:
        """Return the evidence lower bound of each image, in nats, at z = mean and with kl_weight = 1.

        Args:
            outputs: "image" in [0, 1], "mean" and "log_variance", from `outputs` or a spiking twin.
            clean: The images to be reconstructed, (batch, channel, height, width), in [0, 1].

        Returns:
            One bound for each image, (batch,). A pixel that is certain and wrong counts -100 nats, where
            its true value would be minus infinity.
        """
        error = binary_cross_entropy(outputs["image"], clean, reduction="none").flatten(1).sum(dim=1)
        return -error - kl_divergence(outputs["mean"], outputs["log_variance"])


def reparametrised(
    mean: Float[Tensor, "batch unit"],
    log_variance: Float[Tensor, "batch unit"],
    *,
    generator: torch.Generator,
) -> Float[Tensor, "batch unit"]:
    """Draw z ~ N(mean, variance) as mean + exp(log variance / 2) * N(0, 1), (batch, unit)."""
    unit_noise = torch.randn(mean.shape, generator=generator, device=generator.device).to(mean.device)
    return mean + torch.exp(0.5 * log_variance) * unit_noise


def kl_divergence(
    mean: Float[Tensor, "batch unit"], log_variance: Float[Tensor, "batch unit"]
) -> Float[Tensor, " batch"]:
    """Return how far Gaussian latents are from the standard one, in nats, (batch,).

        KL(N(mean, variance) || N(0, 1)) = 1/2 sum_unit (mean^2 + variance - 1 - log variance)

    >>> kl_divergence(torch.tensor([[0.0, 2.0]]), torch.zeros(1, 2))
    tensor([2.])
    """
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1)
