"""Adversarial training: learn from images that are attacked as the network is now."""

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from sleepdefense.attacks.gradient import evaluation_mode, loss_gradient
from sleepdefense.data import ImageSet
from sleepdefense.errors import ConfigError
from sleepdefense.models.base import AbstractAwakeModel, AbstractClassifier
from sleepdefense.shapes import Images, Labels, Logits
from sleepdefense.training.config import Progress, TrainConfig, TrainResult
from sleepdefense.training.loop import fit
from sleepdefense.training.material import labelled


@dataclass(frozen=True, slots=True, kw_only=True)
class AdversarialConfig:
    """How images are attacked while a network learns, and what part the clean ones keep.

    The attack climbs the cross-entropy by the sign of its gradient, within `epsilon` of each image.

    Attributes:
        epsilon: Largest change of a pixel, in intensities, in (0, 1].
        steps: Steps of the ascent, >= 1; 1 is the fast gradient sign.
        step_size: Length of a step, in intensities, > 0; None: epsilon for a single step, else the steps
            together make 4/3 of epsilon.
        random_start: Begin anywhere within epsilon; else at the image.
        alpha: Share of the loss on the clean images, in [0, 1].
        ramp: Steps of the optimizer in which epsilon and the step size grow from 0 to these values, >= 0.
        clip: Whether attacked images stay within [0, 1].

    Raises:
        ConfigError: A value is out of range.

    Source:
        Madry et al. 2018: by default as in their public MNIST challenge, 40 steps of 0.01 within 0.3.
    """

    epsilon: float = 0.3
    steps: int = 40
    step_size: float | None = None
    random_start: bool = True
    alpha: float = 0.0
    ramp: int = 0
    clip: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.epsilon <= 1:
            raise ConfigError(f"adversarial.epsilon must be in (0, 1], got {self.epsilon}")
        if self.step_size is not None and not 0 < self.step_size < math.inf:
            raise ConfigError(f"adversarial.step_size must be > 0, got {self.step_size}")
        if not 0 <= self.alpha <= 1:
            raise ConfigError(f"adversarial.alpha must be in [0, 1], got {self.alpha}")
        for name, least in (("steps", 1), ("ramp", 0)):
            if getattr(self, name) < least:
                raise ConfigError(f"adversarial.{name} must be >= {least}, got {getattr(self, name)}")

    @classmethod
    def fast_gradient(cls, *, epsilon: float = 0.25, alpha: float = 0.5) -> "AdversarialConfig":
        """Return a single step from the image, and clean images beside the attacked ones.

        Source:
            Nayebi and Ganguli 2017, Eq. 4, after Goodfellow et al. 2015.
        """
        return cls(epsilon=epsilon, steps=1, random_start=False, alpha=alpha)

    @property
    def stride(self) -> float:
        """Length of a step, in intensities.

        >>> round(AdversarialConfig().stride, 6), AdversarialConfig.fast_gradient().stride
        (0.01, 0.25)
        """
        if self.step_size is not None:
            return self.step_size
        return self.epsilon if self.steps == 1 else 4 / 3 * self.epsilon / self.steps


class AdversarialLoss(AbstractAwakeModel):
    """A classifier that learns from images attacked anew in every step, and from clean ones.

        alpha C(F(x), y) + (1 - alpha) C(F(x'), y),    x' climbs C within epsilon of x

    In training it counts the steps, which is what the ramp goes by; the count is saved with the weights, so a
    training that resumes goes on with the same epsilon.
    """

    name: ClassVar[str] = "adversarial"

    def __init__(self, classifier: AbstractClassifier, options: AdversarialConfig) -> None:
        super().__init__(dict(classifier.settings))
        self.classifier = classifier
        self.options = options
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    @override
    def forward(self, image: Images) -> Logits:
        """Return the logits of the classifier, (batch, class)."""
        logits: Tensor = self.classifier(image)
        return logits

    @override
    def loss(
        self, noisy: Images, clean: Images, label: Labels, *, generator: torch.Generator
    ) -> Float[Tensor, ""]:
        """Return the mean loss of the clean and of the attacked images."""
        alpha, part = self.options.alpha, 1.0
        step: Any = self.step
        if self.training and self.options.ramp:
            part = min(1.0, (int(step) + 1) / self.options.ramp)
        if self.training:
            step.add_(1)
        attacked = self._attacked(noisy, label, part, generator)
        if alpha == 0:
            return self.classifier.loss(attacked, clean, label, generator=generator)
        on_clean = self.classifier.loss(noisy, clean, label, generator=generator)
        on_attacked = self.classifier.loss(attacked, clean, label, generator=generator)
        return alpha * on_clean + (1 - alpha) * on_attacked

    def _attacked(self, images: Images, labels: Labels, part: float, generator: torch.Generator) -> Images:
        epsilon, stride = part * self.options.epsilon, part * self.options.stride
        lowest, highest = images - epsilon, images + epsilon
        if self.options.clip:
            lowest, highest = lowest.clamp_min(0), highest.clamp_max(1)
        attacked = images
        if self.options.random_start:
            draw = torch.rand(images.shape, generator=generator, device=generator.device).to(images.device)
            attacked = (images + epsilon * (2 * draw - 1)).clamp(lowest, highest)
        with evaluation_mode(self.classifier):
            for _ in range(self.options.steps):
                slope = loss_gradient(self.classifier, attacked, labels)
                attacked = (attacked + stride * slope.sign()).clamp(lowest, highest)
        return attacked


def train_adversarial(
    model: AbstractClassifier,
    images: ImageSet,
    config: TrainConfig,
    adversarial: AdversarialConfig | None = None,
    *,
    checkpoint: Path | None = None,
    resume: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> TrainResult:
    """Train a classifier on images that are attacked as it is in every step; otherwise as `train_classifier`.

    Args:
        model: Where to start. It stays as it is.
        images: Clean images and labels.
        config: How to train.
        adversarial: How to attack; None: as Madry et al. did.
        checkpoint: File that takes the state after every epoch.
        resume: Go on from `checkpoint`; begin if it is not there yet.
        force: Begin anew although `checkpoint` is there.
        progress: Told after every batch.

    Returns:
        The trained classifier and the losses of all epochs.

    Raises:
        CheckpointError, ConfigError, SleepDefenseError: As `train` says.
    """
    options = adversarial or AdversarialConfig()
    facts = {"classifier": model.name, "adversarial": asdict(options)}
    start = AdversarialLoss(model, options)
    result = fit(start, labelled(images), config, checkpoint, resume, force, progress, facts=facts)
    trained = result.model
    assert isinstance(trained, AdversarialLoss)
    return TrainResult(model=trained.classifier.eval(), losses=result.losses)
