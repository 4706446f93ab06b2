"""Train a purifier on pairs, or a classifier on labelled images."""

from pathlib import Path

from sleepdefense.data import ImageSet, PairSet
from sleepdefense.models.base import AbstractAwakeModel, AbstractClassifier
from sleepdefense.training.config import Progress, TrainConfig, TrainResult
from sleepdefense.training.loop import fit
from sleepdefense.training.material import labelled, paired


def train(
    model: AbstractAwakeModel,
    pairs: PairSet,
    config: TrainConfig,
    *,
    checkpoint: Path | None = None,
    resume: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> TrainResult:
    """Train a network to map noisy images to what their clean images ask for.

    Runs in one process, or in each process that `accelerate launch` (or, for several on a CPU, `torchrun`)
    started; they then share every batch.

    Args:
        model: Where to start. It stays as it is.
        pairs: Noisy and clean images.
        config: How to train.
        checkpoint: File that takes the state after every epoch. Without it an interruption loses all.
        resume: Go on from `checkpoint`; begin if it is not there yet. A training that had ended may be
            given more epochs.
        force: Begin anew although `checkpoint` is there.
        progress: Told after every batch.

    Returns:
        The trained network and the losses of all epochs, those before an interruption included.

    Raises:
        CheckpointError: `checkpoint` is there and neither `resume` nor `force` is given; or it is
            damaged, or comes from other settings, another start or other data.
        ConfigError: The device or the precision is not to be had, or there are too few images.
        SleepDefenseError: The loss is no longer finite. `checkpoint` holds the last epoch before.
    """
    return fit(model, paired(pairs), config, checkpoint, resume, force, progress)


def train_classifier(
    model: AbstractClassifier,
    images: ImageSet,
    config: TrainConfig,
    *,
    checkpoint: Path | None = None,
    resume: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> TrainResult:
    """Train a classifier on labelled images as they are: `train` with every image its own noisy twin."""
    return fit(model, labelled(images), config, checkpoint, resume, force, progress)
