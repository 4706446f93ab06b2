"""Adversarial training: learn from images that are attacked as the network is now."""

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import cross_entropy
from typing_extensions import override

from sleepdefense.data import ImageSet
from sleepdefense.errors import ConfigError
from sleepdefense.models.base import AbstractAwakeModel, AbstractClassifier
from sleepdefense.shapes import Images, Labels, Logits
from sleepdefense.training.config import Progress, TrainConfig, TrainResult
from sleepdefense.training.loop import fit
from sleepdefense.training.material import Material


@dataclass(frozen=True, slots=True, kw_only=True)
class MadryConfig:
    """How images are attacked while a network learns: projected gradient ascent within Linf.

    Attributes:
        epsilon: Largest change of a pixel, in intensities, in (0, 1].
        steps: Steps of the ascent, >= 1.
        step_size: Length of a step, in intensities, > 0.
        ramp: Steps of the optimizer in which epsilon and the step size grow from 0 to these values, >= 0.

    Raises:
        ConfigError: A value is out of range.

    Source:
        Madry et al. 2018: the values of their public MNIST challenge, without a ramp.
    """

    epsilon: float = 0.3
    steps: int = 40
    step_size: float = 0.01
    ramp: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.epsilon <= 1:
            raise ConfigError(f"adversarial.epsilon must be in (0, 1], got {self.epsilon}")
        if not 0 < self.step_size < math.inf:
            raise ConfigError(f"adversarial.step_size must be > 0, got {self.step_size}")
        for name, least in (("steps", 1), ("ramp", 0)):
            if getattr(self, name) < least:
                raise ConfigError(f"adversarial.{name} must be >= {least}, got {getattr(self, name)}")


class AdversarialLoss(AbstractAwakeModel):
    """A classifier with the cross-entropy of images attacked anew in every step as its loss.

    In training it counts the steps, which is what the ramp goes by; the count is saved with the weights, so a
    training that resumes goes on with the same epsilon.
    """

    name: ClassVar[str] = "adversarial"

    def __init__(self, classifier: AbstractClassifier, options: MadryConfig) -> None:
        super().__init__(dict(classifier.settings))
        self.classifier = classifier
        self.options = options
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    @override
    def forward(self, image: Images) -> Logits:
        """Return the logits of the classifier."""
        logits: Tensor = self.classifier(image)
        return logits

    @override
    def loss(
        self, noisy: Images, clean: Images, label: Labels, *, generator: torch.Generator
    ) -> Float[Tensor, ""]:
        """Return the mean cross-entropy of `noisy` after an attack that starts at random."""
        part = 1.0
        step: Any = self.step
        if self.training and self.options.ramp:
            part = min(1.0, (int(step) + 1) / self.options.ramp)
        if self.training:
            step.add_(1)
        attacked = self._attacked(noisy, label, part, generator)
        logits: Tensor = self.classifier(attacked)
        return cross_entropy(logits.float(), label)

    def _attacked(self, images: Images, labels: Labels, part: float, generator: torch.Generator) -> Images:
        epsilon, step_size = part * self.options.epsilon, part * self.options.step_size
        draw = torch.rand(images.shape, generator=generator, device=generator.device).to(images.device)
        lowest, highest = (images - epsilon).clamp_min(0), (images + epsilon).clamp_max(1)
        attacked = (images + epsilon * (2 * draw - 1)).clamp(0, 1)
        for _ in range(self.options.steps):
            with torch.enable_grad():
                attacked = attacked.detach().requires_grad_(True)
                loss = cross_entropy(self.classifier(attacked).float(), labels, reduction="sum")
                (slope,) = torch.autograd.grad(loss, attacked)
            attacked = (attacked + step_size * slope.sign()).clamp(lowest, highest)
        return attacked.detach()


def train_madry(
    model: AbstractClassifier,
    images: ImageSet,
    config: TrainConfig,
    options: MadryConfig,
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
        options: How to attack.
        checkpoint: File that takes the state after every epoch.
        resume: Go on from `checkpoint`; begin if it is not there yet.
        force: Begin anew although `checkpoint` is there.
        progress: Told after every batch.

    Returns:
        The trained classifier and the losses of all epochs.

    Raises:
        CheckpointError: As in `train`.
        ConfigError: As in `train`.
        SleepDefenseError: The loss is no longer finite.
    """
    material = Material(
        num_variants=1,
        clean=images.images,
        labels=images.labels,
        noisy=None,
        digest=lambda: images.digest,
    )
    facts = {"classifier": model.name, "adversarial": asdict(options)}
    start = AdversarialLoss(model, options)
    result = fit(start, material, config, checkpoint, resume, force, progress, facts=facts)
    trained = result.model
    assert isinstance(trained, AdversarialLoss)
    return TrainResult(model=trained.classifier, losses=result.losses)
