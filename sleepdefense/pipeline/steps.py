"""The steps of a run, each from checkpoint to checkpoint; sleeping and refreshing have files of their own.

A step that finds its own finished result uses it; one that finds an unfinished one goes on.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import nn

from sleepdefense.attacks import parse_attacks
from sleepdefense.attacks.pairs import adversarial_pairs
from sleepdefense.checkpoint import file_digest, load_checkpoint, save_checkpoint
from sleepdefense.config import ConversionConfig, ModelConfig, PairsConfig
from sleepdefense.consolidation.ranks import joined_ranks
from sleepdefense.conversion import to_awake, to_spiking
from sleepdefense.conversion.saving import network_from_checkpoint, spiking_checkpoint
from sleepdefense.data.image_set import ImageSet
from sleepdefense.data.pairs import PairSet, undisturbed_pairs
from sleepdefense.errors import ConfigError
from sleepdefense.models import awake_from_file, build_model
from sleepdefense.models.base import AbstractAwakeModel, AbstractClassifier, AbstractPurifier
from sleepdefense.models.public_weights import load_public_weights
from sleepdefense.models.saving import awake_checkpoint, model_from_checkpoint
from sleepdefense.pipeline.context import Context, fixed_arithmetic
from sleepdefense.pipeline.provenance import fingerprint, finished, provenance, versions
from sleepdefense.pipeline.saving import save_once
from sleepdefense.spiking import SpikingNetwork
from sleepdefense.training import TrainConfig, train, train_classifier


def new_model(config: ModelConfig, data: ImageSet, *, seed: int) -> AbstractAwakeModel:
    """Build a model for the images at hand: channels, size and classes are those of the data.

    Raises:
        ConfigError: The model or a setting is unknown, or the images are not square.
    """
    _, channels, height, width = data.images.shape
    if height != width:
        raise ConfigError(f"images of '{data.name}' are {height}x{width}: the models need square ones")
    settings: dict[str, Any] = {"channels": channels, "size": height, **config.settings}
    try:
        return build_model(config.model, {"num_classes": data.num_classes, **settings}, seed=seed)
    except ConfigError as error:
        if "num_classes" not in str(error):
            raise
        return build_model(config.model, settings, seed=seed)


@fixed_arithmetic()
def train_step(
    config: ModelConfig,
    data: ImageSet,
    out: Path,
    context: Context,
    *,
    seed: int,
    pairs: PairsConfig | None = None,
    classifier: Path | None = None,
    cache: Path | None = None,
    device: str = "cpu",
    precision: str = "no",
) -> AbstractAwakeModel:
    """Train one model: a classifier on the images, a purifier on attacked ones.

    Args:
        config: The model and how long.
        data: Training images.
        out: Checkpoint of kind "awake" to write; the state of the training lies beside it.
        context: How to run.
        seed: Of weights, order and noise.
        pairs: Purifiers: which attacks; None: the purifier sees clean images only.
        classifier: Purifiers: checkpoint of the classifier that is attacked.
        cache: Purifiers: file for the attacked images, so that they are made once.
        device: "auto", "cpu" or "cuda".
        precision: "no", "bf16" or "fp16".

    Returns:
        The trained model, in evaluation mode, on the CPU.
    """
    model = new_model(config, data, seed=seed)
    is_purifier = isinstance(model, AbstractPurifier) and model.learns_from_attacks
    if is_purifier and pairs is not None and classifier is None:
        raise ConfigError(
            f"model '{config.model}' learns to remove attacks on a classifier: name its checkpoint "
            "(--classifier), or train on clean images (--attacks none)"
        )
    attacked = is_purifier and pairs is not None and classifier is not None
    facts: dict[str, Any] = {
        "model": asdict(config),
        "data": data.digest,
        "seed": seed,
        "pairs": asdict(pairs) if attacked and pairs else None,
        "classifier": file_digest(classifier) if attacked and classifier else None,
        "precision": precision,
        "versions": versions(),
    }
    step = fingerprint(**facts)
    done = finished(out, step, resume=context.resume, force=context.force)
    if done is not None:
        return model_from_checkpoint(done)
    training = TrainConfig(
        epochs=config.epochs,
        batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        seed=seed,
        device=device,
        precision=precision,
        pairing=pairs.pairing if attacked and pairs else "sample",
    )
    state = out.with_name(f"{out.stem}.training.h5")
    how: dict[str, Any] = {
        "checkpoint": state,
        "resume": context.resume,
        "force": context.force,
        "progress": context.progress,
    }
    if isinstance(model, AbstractClassifier):
        result = train_classifier(model, data, training, **how)
    elif attacked and pairs is not None and classifier is not None:
        target = awake_from_file(classifier)
        attacks = parse_attacks(pairs.attacks)

        def attack() -> PairSet:
            return adversarial_pairs(data, target, attacks, seed=seed, cache=cache, progress=context.progress)

        with joined_ranks() as ranks:
            material = ranks.main_first(attack)
        result = train(model, material, training, **how)
    else:
        result = train(model, undisturbed_pairs(data), training, **how)
    trained = result.model.cpu().eval()
    origin = provenance(
        context.command, seed=seed, step=step, data=data.digest, classifier=facts["classifier"]
    )
    save_once(out, awake_checkpoint(trained, provenance=origin))
    return trained


@fixed_arithmetic()
def convert_step(
    awake: Path, data: ImageSet, out: Path, context: Context, *, config: ConversionConfig, seed: int = 0
) -> SpikingNetwork:
    """Convert an awake checkpoint, or published weights, into a spiking checkpoint.

    The first images of `data` calibrate it.
    """
    calibration = data.images[: config.images]
    parent = file_digest(awake)
    step = fingerprint(
        parent=parent,
        percentile=config.percentile,
        images=len(calibration),
        data=data.digest,
        versions=versions(),
    )
    done = finished(out, step, resume=context.resume, force=context.force)
    if done is not None:
        return network_from_checkpoint(done)
    model = awake_from_file(awake)
    network = to_spiking(model, calibration, percentile=config.percentile)
    origin = provenance(context.command, seed=seed, step=step, data=data.digest, parent=parent)
    save_checkpoint(out, spiking_checkpoint(network, provenance=origin))
    return network


@fixed_arithmetic()
def wake_step(spiking: Path, out: Path, context: Context) -> nn.Module:
    """Convert a spiking checkpoint back into an awake one."""
    source = load_checkpoint(spiking, kind="spiking")
    parent = file_digest(spiking)
    step = fingerprint(parent=parent, to="awake", versions=versions())
    done = finished(out, step, resume=context.resume, force=context.force)
    if done is not None:
        return model_from_checkpoint(done)
    model = to_awake(network_from_checkpoint(source))
    if not isinstance(model, AbstractAwakeModel):
        raise ConfigError(
            f"'{spiking}' holds a network of your own, which no file can rebuild: wake it from Python"
        )
    seed = int(source.provenance.get("seed", 0))
    origin = provenance(context.command, seed=seed, step=step, parent=parent)
    save_checkpoint(out, awake_checkpoint(model, provenance=origin))
    return model


def adopt_step(published: Path, out: Path, context: Context) -> AbstractAwakeModel:
    """Write the network of a published weight file as an awake checkpoint.

    Raises:
        CheckpointError: The file is none of those known, or `out` cannot be written.
        ConfigError: `out` exists, and neither resuming nor overwriting is wanted.
    """
    parent = file_digest(published)
    step = fingerprint(parent=parent, to="awake", versions=versions())
    done = finished(out, step, resume=context.resume, force=context.force)
    if done is not None:
        return model_from_checkpoint(done)
    model = load_public_weights(published)
    origin = provenance(context.command, seed=0, step=step, parent=parent)
    save_checkpoint(out, awake_checkpoint(model, provenance=origin))
    return model
