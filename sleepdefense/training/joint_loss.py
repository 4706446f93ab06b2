"""The loss of a purifier and a classifier that learn together: Eq. 10 of Talafha et al. 2023."""

import math
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from typing_extensions import override

from sleepdefense.conversion.live_twin import LiveTwin, live_twin
from sleepdefense.conversion.watched_norms import Norm, watched_norms
from sleepdefense.errors import ConfigError
from sleepdefense.models.base import AbstractAwakeModel, AbstractClassifier
from sleepdefense.models.layer_kinds import NORM_MODULES
from sleepdefense.models.vae import AbstractVAE, DrawnVAE, reparametrised
from sleepdefense.shapes import Images, Labels, Logits
from sleepdefense.spiking.autoencoder import decode, encode
from sleepdefense.spiking.simulate import ENCODERS

_LARGEST_SEED = 2**62


@dataclass(frozen=True, slots=True, kw_only=True)
class EndToEndConfig:
    """How the three losses are put together.

    The weight of the KL term, in the awake and in the spiking loss, is the purifier's own `kl_weight`.

    Attributes:
        num_steps: Steps of the spiking encoder, and again of the decoder, in every batch, >= 1.
        encoder: "current" feeds the spiking twin the intensities, "bernoulli" spike trains, drawn anew.
        slope: Of the surrogate gradient of a spike at the threshold, > 0.
        percentile: Of the positive activations, for the scales of the twin, in (0, 100].
        calibration_images: Noisy images that the scales are measured on, >= 1.
        awake_weight: Factor of L_VAE, >= 0; 1 as printed.
        spiking_weight: Factor of L_SVAE, >= 0; 1 as printed. 0 leaves the spiking twin out.
        classifier_weight: Factor of L_Cross-Entropy, >= 0; 1 as printed.

    Raises:
        ConfigError: A setting is out of range.
    """

    num_steps: int = 8
    encoder: str = "current"
    slope: float = 2.0
    percentile: float = 99.9
    calibration_images: int = 256
    awake_weight: float = 1.0
    spiking_weight: float = 1.0
    classifier_weight: float = 1.0

    def __post_init__(self) -> None:
        for name in ("num_steps", "calibration_images"):
            if getattr(self, name) < 1:
                raise ConfigError(f"end_to_end.{name} must be >= 1, got {getattr(self, name)}")
        for name in ("awake_weight", "spiking_weight", "classifier_weight"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ConfigError(f"end_to_end.{name} must be >= 0, got {getattr(self, name)}")
        if self.encoder not in ENCODERS:
            raise ConfigError(
                f"end_to_end.encoder must be one of {', '.join(ENCODERS)}, got '{self.encoder}'"
            )
        if not 0 < self.slope < math.inf:
            raise ConfigError(f"end_to_end.slope must be > 0, got {self.slope}")
        if not 0 < self.percentile <= 100:
            raise ConfigError(f"end_to_end.percentile must be in (0, 100], got {self.percentile}")


class LossTerms(NamedTuple):
    """The three losses of a batch, means over its images, without their factors."""

    awake: Float[Tensor, ""]
    spiking: Float[Tensor, ""]
    cross_entropy: Float[Tensor, ""]


class EndToEnd(AbstractAwakeModel):
    """Purifier and classifier with one loss.

        L_E2E = L_VAE + L_SVAE + L_Cross-Entropy

    for an attacked image x* of the clean image x with label y, each a mean over the images of a batch:

        L_VAE           = -E_q[log p(x | z)] + kl_weight KL(q(z | x*) || N(0, 1)), one sample of z an image
        L_SVAE          = the same of the spiking twin: q from its encoder, p from its decoder, num_steps each
        L_Cross-Entropy = the classifier's loss on the awake reconstruction sigmoid(logits of p(x | z))

    The twin has the awake weights, see `LiveTwin`, and snntorch's surrogate gradients. Its scales are
    measured anew as an epoch begins and are constants in between. In training it folds in the batch norms
    with the statistics of the awake network's batch, see `watched_norms`; at rest with the running ones.
    Batch norms that never saw a batch first take those of the calibration images: with the statistics they
    begin with, 0 and 1, the first epoch's scales would fit nothing.

    Source:
        Talafha et al. 2023, Eq. 10. Pixels are summed, as in Eq. 1, so that L_VAE and L_SVAE outweigh the
        cross-entropy by far; the paper prints no factors.
    """

    name: ClassVar[str] = "end-to-end"

    def __init__(
        self, purifier: AbstractVAE, classifier: AbstractClassifier, options: EndToEndConfig
    ) -> None:
        parts = (("purifier", purifier), ("classifier", classifier))
        super().__init__(
            {f"{role}.{key}": value for role, part in parts for key, value in part.settings.items()}
        )
        self.purifier = purifier
        self.classifier = classifier
        self.options = options
        self._twin: LiveTwin | None = None

    @override
    def forward(self, image: Images) -> Logits:
        """Return the logits of what the purifier makes of the images, (batch, class)."""
        logits: Tensor = self.classifier(self.purifier(image))
        return logits

    @override
    def loss(
        self, noisy: Images, clean: Images, label: Labels, *, generator: torch.Generator
    ) -> Float[Tensor, ""]:
        """Return L_E2E; `prepare_` must have been called if the twin takes part."""
        terms = self.terms(noisy, clean, label, generator=generator)
        options = self.options
        return (
            options.awake_weight * terms.awake
            + options.spiking_weight * terms.spiking
            + options.classifier_weight * terms.cross_entropy
        )

    def terms(self, noisy: Images, clean: Images, label: Labels, *, generator: torch.Generator) -> LossTerms:
        """Return the three losses; the spiking one is 0 where its factor is."""
        norms: dict[str, Norm] = {}
        has_twin = self.options.spiking_weight > 0
        with watched_norms(self.purifier) if has_twin else nullcontext(norms) as norms:
            drawn = self.purifier.drawn(noisy, generator=generator)
        image = torch.sigmoid(drawn.logits.float())
        spiking = image.new_zeros(())
        if has_twin:
            with torch.autocast(noisy.device.type, enabled=False):  # spikes need sums that do not round
                spiking = self._spiking(noisy, clean, norms if self.training else {}, generator)
        return LossTerms(
            awake=self.purifier.negative_bound(drawn, clean),
            spiking=spiking,
            cross_entropy=self.classifier.loss(image, clean, label, generator=generator),
        )

    @torch.no_grad()
    def prepare_(self, calibration: Images) -> None:
        """Measure the scales of the twin for the weights as they are.

        Args:
            calibration: Noisy images, (image, channel, height, width).
        """
        device = next(self.purifier.parameters()).device
        calibration = calibration.to(device)
        if self.options.spiking_weight > 0:
            _settle_batch_norms_(self.purifier, calibration)
            self._twin = live_twin(self.purifier, calibration, percentile=self.options.percentile)

    def _spiking(
        self, noisy: Images, clean: Images, norms: Mapping[str, Norm], generator: torch.Generator
    ) -> Float[Tensor, ""]:
        """Return the negative bound of the spiking twin."""
        from sleepdefense.spiking.snntorch_backend import SnntorchBackend  # slow to import

        if self._twin is None:
            raise ConfigError("the spiking twin has no scales yet: call 'prepare_' before the first loss")
        backend = SnntorchBackend(self.options.slope)
        seed = 0
        if self.options.encoder == "bernoulli":
            seed = int(torch.randint(_LARGEST_SEED, (), generator=generator, device=generator.device))
        network, steps = self._twin.of(self.purifier, norms), self.options.num_steps
        mean, log_variance = encode(
            network, noisy, num_steps=steps, backend=backend, encoder=self.options.encoder, seed=seed
        )
        latent = reparametrised(mean, log_variance, generator=generator)
        logits = decode(network, latent, num_steps=steps, backend=backend).logits
        return self.purifier.negative_bound(DrawnVAE(logits, mean.float(), log_variance.float()), clean)


def _settle_batch_norms_(model: nn.Module, images: Images) -> None:
    """Give batch norms that never saw a batch the statistics of these images, as in training."""
    fresh = [
        module
        for module in model.modules()
        if isinstance(module, NORM_MODULES)
        and module.num_batches_tracked is not None
        and int(module.num_batches_tracked) == 0
    ]
    if not fresh:
        return
    training = {part: part.training for part in model.modules()}
    momenta = [module.momentum for module in fresh]
    try:
        model.eval()
        for module in fresh:
            module.train()
            module.momentum = 1.0
        model(images)
    finally:
        for part, was_training in training.items():
            part.training = was_training
        for module, momentum in zip(fresh, momenta, strict=True):
            module.momentum = momentum
