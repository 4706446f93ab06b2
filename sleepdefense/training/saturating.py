"""Train networks into saturation; it can be stopped and resumed."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from sleepdefense.attacks.gradient import evaluation_mode
from sleepdefense.data import ImageSet
from sleepdefense.data.image_set import tensor_digest
from sleepdefense.models.base import AbstractAwakeModel, AbstractClassifier
from sleepdefense.training.config import Progress, TrainConfig
from sleepdefense.training.loop import fit, number_of_batches
from sleepdefense.training.material import labelled
from sleepdefense.training.saturation_loss import SaturatingLoss, SaturationConfig
from sleepdefense.training.saturation_story import SaturationEpoch, SaturationResult, Story

_JUDGED_AT_ONCE = 1000


def train_saturating(
    model: AbstractClassifier,
    images: ImageSet,
    config: TrainConfig,
    saturation: SaturationConfig,
    *,
    held_out: ImageSet,
    checkpoint: Path | None = None,
    resume: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> SaturationResult:
    """Train a classifier under a penalty that grows, and go back when it costs too much.

    After each epoch the held-out images are classified. An epoch whose accuracy is within `tolerance` of the
    best so far is one to keep, and so is any before lambda begins to rise. After `patience` others in a row
    the training has diverged: it ends there, and what it returns is the last epoch that was one to keep.

    Args:
        model: Where to start, such as a network that was trained without the penalty. It stays as it is.
        images: What it learns from.
        config: How to train.
        saturation: The penalty.
        held_out: Images that judge; none of `images`.
        checkpoint: File that takes the state after every epoch; a second one, ending in ".kept.h5", takes the
            network to keep and the history.
        resume: Go on from `checkpoint`; begin if it is not there yet. Ends in the same bytes.
        force: Begin anew although `checkpoint` is there.
        progress: Told after every batch.

    Returns:
        The network that was kept, and what happened.

    Raises:
        CheckpointError, ConfigError, SleepDefenseError: As `train` says.
    """
    start = SaturatingLoss(
        model, saturation, batches_per_epoch=number_of_batches(len(images), config.batch_size)
    )
    story = Story(
        None if checkpoint is None else checkpoint.with_name(f"{checkpoint.stem}.kept.h5"),
        identity={
            "saturation": asdict(saturation),
            "held out": held_out.digest,
            "images": images.digest,
            "first weights": tensor_digest(*model.state_dict().values()),
            "training": [config.batch_size, config.learning_rate, config.seed, config.precision],
        },
        saturation=saturation,
    )
    if resume:
        story.load(model)

    def judge(trained: AbstractAwakeModel, losses: Sequence[float]) -> bool:
        assert isinstance(trained, SaturatingLoss)
        last = int(trained.batch_number) - 1
        epoch = SaturationEpoch(
            epoch=len(losses),
            weight=saturation.annealing.weight(last, batches_per_epoch=trained.batches_per_epoch),
            loss=losses[-1],
            accuracy=_accuracy(trained.classifier, held_out),
        )
        story.add(epoch, trained.classifier)
        return story.has_diverged

    if not story.has_diverged:
        fit(
            start,
            labelled(images),
            config,
            checkpoint,
            resume,
            force,
            progress,
            facts={"saturation": asdict(saturation), "held out": held_out.digest},
            after_epoch=judge,
        )
    return story.result(model)


@torch.no_grad()
def _accuracy(model: AbstractClassifier, images: ImageSet) -> float:
    """Return the share of images that a model classifies correctly, in [0, 1]."""
    device = next(model.parameters()).device
    right = 0
    with evaluation_mode(model):
        for first in range(0, len(images), _JUDGED_AT_ONCE):
            part = slice(first, first + _JUDGED_AT_ONCE)
            right += int((model(images.images[part].to(device)).argmax(1).cpu() == images.labels[part]).sum())
    return right / len(images)
