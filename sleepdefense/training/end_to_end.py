"""Train purifier and classifier as one: the awake loss, that of the spiking twin, and the cross-entropy."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from sleepdefense.checkpoint import save_checkpoint
from sleepdefense.data import PairSet
from sleepdefense.data.image_set import tensor_digest
from sleepdefense.models.base import AbstractAwakeModel, AbstractClassifier
from sleepdefense.models.purified import Purified
from sleepdefense.models.saving import awake_checkpoint
from sleepdefense.models.vae import AbstractVAE
from sleepdefense.training.config import Progress, TrainConfig
from sleepdefense.training.joint_loss import EndToEnd, EndToEndConfig
from sleepdefense.training.loop import fit
from sleepdefense.training.material import paired


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EndToEndResult:
    """What an end-to-end training gives.

    Attributes:
        purifier: The trained autoencoder, ready for its sleep, in evaluation mode.
        classifier: The classifier trained on what the purifier makes, in evaluation mode.
        losses: Mean of L_E2E of an image, for each epoch, while the weights were changing.
    """

    purifier: AbstractVAE
    classifier: AbstractClassifier
    losses: tuple[float, ...]

    @property
    def system(self) -> Purified:
        """The two, one behind the other."""
        return Purified(self.purifier, self.classifier)


def train_end_to_end(
    purifier: AbstractVAE,
    classifier: AbstractClassifier,
    pairs: PairSet,
    config: TrainConfig,
    *,
    options: EndToEndConfig | None = None,
    checkpoint: Path | None = None,
    resume: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> EndToEndResult:
    """Train a purifier and a classifier together, from where they are; the paper begins at random weights.

    Algorithm 1 sleeps afterwards: convert `purifier`, let it sleep, convert it back.

    Args:
        purifier: The variational autoencoder. It stays as it is.
        classifier: What classifies the reconstructions. It stays as it is.
        pairs: Attacked and clean images with labels.
        config: How to train, as in `train`.
        options: How the losses are put together.
        checkpoint: File that takes the state after every epoch. Without it an interruption loses all.
        resume: Go on from `checkpoint`; begin if it is not there yet.
        force: Begin anew although `checkpoint` is there.
        progress: Told after every batch.

    Returns:
        Both networks and the losses.

    Raises:
        CheckpointError: As in `train`.
        ConfigError: As in `train`.
        ConversionError: The purifier cannot be converted, or a layer is silent.
        SleepDefenseError: The loss is no longer finite.

    Source:
        Talafha et al. 2023, Eq. 10 and section 3.5.
    """
    options = options or EndToEndConfig()
    image = torch.arange(min(options.calibration_images, len(pairs.clean)))
    calibration = pairs.noisy_batch(image % len(pairs.variants), image)
    start = EndToEnd(purifier, classifier, options)

    def prepare(model: AbstractAwakeModel) -> None:
        assert isinstance(model, EndToEnd)
        model.prepare_(calibration)

    result = fit(
        start,
        paired(pairs),
        config,
        checkpoint,
        resume,
        force,
        progress,
        before_epoch=prepare,
        facts={
            "purifier": purifier.name,
            "classifier": classifier.name,
            "end_to_end": asdict(options),
            "calibration": tensor_digest(calibration),
        },
    )
    trained = result.model
    assert isinstance(trained, EndToEnd)
    return EndToEndResult(purifier=trained.purifier, classifier=trained.classifier, losses=result.losses)


def save_end_to_end(
    result: EndToEndResult, purifier: Path, classifier: Path, *, provenance: Mapping[str, Any]
) -> None:
    """Write both networks as awake checkpoints, which every command reads.

    Args:
        result: What a training gave.
        purifier: File of the purifier.
        classifier: File of the classifier.
        provenance: Where they come from, as in `awake_checkpoint`.

    Raises:
        CheckpointError: A file cannot be written.
    """
    for path, model in ((purifier, result.purifier), (classifier, result.classifier)):
        save_checkpoint(path, awake_checkpoint(model, provenance=provenance))
