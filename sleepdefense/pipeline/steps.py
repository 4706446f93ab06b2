"""The steps of a run, each from checkpoint to checkpoint: train, convert, sleep, wake.

A step that finds its own finished result uses it; one that finds an unfinished one goes on.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sleepdefense.attacks import parse_attacks
from sleepdefense.attacks.pairs import adversarial_pairs
from sleepdefense.checkpoint import Checkpoint, file_digest, load_checkpoint, save_checkpoint
from sleepdefense.config import ConversionConfig, ModelConfig, PairsConfig, SleepSection
from sleepdefense.consolidation import (
    RULES,
    SleepConfig,
    Slept,
    accuracy_guard,
    reconstruction_guard,
    sleep,
)
from sleepdefense.consolidation.ranks import joined_ranks
from sleepdefense.conversion import to_awake, to_spiking
from sleepdefense.conversion.saving import network_from_checkpoint, spiking_checkpoint
from sleepdefense.data.image_set import ImageSet
from sleepdefense.data.pairs import PairSet, to_8_bit
from sleepdefense.errors import ConfigError
from sleepdefense.models import build_model
from sleepdefense.models.base import AbstractAwakeModel, AbstractClassifier, AbstractPurifier
from sleepdefense.models.saving import awake_checkpoint, model_from_checkpoint
from sleepdefense.pipeline.context import Context, fixed_arithmetic
from sleepdefense.pipeline.provenance import fingerprint, finished, provenance, versions
from sleepdefense.spiking import SpikingNetwork, simulate
from sleepdefense.training import TrainConfig, train, train_classifier

ELBO_IMAGES = 32
ELBO_STEPS = 16
REFRESH_RATE = 3e-4
"""Learning rate of Adam between naps."""


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
    is_purifier = isinstance(model, AbstractPurifier)
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
        target = model_from_checkpoint(load_checkpoint(classifier, kind="awake"))
        attacks = parse_attacks(pairs.attacks)

        def attack() -> PairSet:
            return adversarial_pairs(data, target, attacks, seed=seed, cache=cache, progress=context.progress)

        with joined_ranks() as ranks:
            material = ranks.main_first(attack)
        result = train(model, material, training, **how)
    else:
        result = train(model, _undisturbed(data), training, **how)
    trained = result.model.cpu().eval()
    origin = provenance(
        context.command, seed=seed, step=step, data=data.digest, classifier=facts["classifier"]
    )
    _save_once(out, awake_checkpoint(trained, provenance=origin))
    return trained


def _undisturbed(data: ImageSet) -> PairSet:
    """Return every image as its own noisy variant."""
    return PairSet(
        variants=("clean",), noisy=to_8_bit(data.images)[None], clean=data.images, labels=data.labels
    )


@fixed_arithmetic()
def convert_step(
    awake: Path, data: ImageSet, out: Path, context: Context, *, config: ConversionConfig, seed: int = 0
) -> SpikingNetwork:
    """Convert an awake checkpoint into a spiking one, calibrated on the first images of `data`."""
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
    model = model_from_checkpoint(load_checkpoint(awake, kind="awake"))
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


@fixed_arithmetic()
def sleep_step(
    spiking: Path,
    data: ImageSet,
    out: Path,
    context: Context,
    *,
    section: SleepSection,
    seed: int,
    held_out: ImageSet | None = None,
    classifier: nn.Module | None = None,
    state: Path | None = None,
) -> Slept:
    """Let a spiking checkpoint sleep on the images of `data`.

    Where several processes were launched, all must come here; each presents its share, the main one writes.

    Args:
        spiking: The checkpoint.
        data: Clean training images.
        out: Checkpoint of kind "spiking" to write.
        context: How to run.
        section: Rule and settings.
        seed: Of the spike trains.
        held_out: Images for the guard; None: no guard.
        classifier: Judges what a purifier makes of them; without it the guard watches the error.
        state: File for the state and the diary; by default beside `out`.

    Returns:
        The network after its sleep, and the diary.
    """
    source = load_checkpoint(spiking, kind="spiking")
    network = network_from_checkpoint(source)
    rule = make_rule(section)
    config = make_sleep_config(section, seed=seed)
    parent = file_digest(spiking)
    step = fingerprint(
        parent=parent,
        rule=rule.to_json(),
        config=config.to_json(),
        guard=section.guard if held_out is not None else None,
        held_out=None if held_out is None else held_out.digest,
        judge=classifier is not None,
        data=data.digest,
        versions=versions(),
    )

    def check() -> None:
        finished(out, step, resume=context.resume, force=context.force)

    with joined_ranks() as ranks:
        ranks.on_main(check)
    slept = sleep(
        network,
        data.images.to(_device(context.device)),
        rule,
        config=config,
        guard=_guard(network, section, held_out, classifier),
        measures=_measures(network, data.images[:ELBO_IMAGES]),
        checkpoint=out.with_name(f"{out.stem}.state.h5") if state is None else state,
        resume=context.resume,
        force=context.force,
        progress=context.progress,
        threads=context.threads,
    )
    origin = provenance(context.command, seed=seed, step=step, data=data.digest, parent=parent)
    _save_once(out, spiking_checkpoint(slept.network, provenance=origin))
    return slept


def _device(name: str) -> torch.device:
    """Return where this process sleeps: processes of one machine take its GPUs in turn.

    Raises:
        ConfigError: A GPU is asked for, and there is none.
    """
    num_gpus = torch.cuda.device_count()
    if name == "cuda" and num_gpus == 0:
        raise ConfigError("the device is 'cuda', but torch finds no GPU here: use 'cpu' or 'auto'")
    if name == "cpu" or num_gpus == 0:
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % num_gpus)


def _save_once(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint that several processes may hold: the main one does, and the others wait for it."""
    with joined_ranks() as ranks:
        ranks.on_main(lambda: save_checkpoint(path, checkpoint))


def make_rule(section: SleepSection) -> Any:
    """Return the learning rule that a section names.

    Raises:
        ConfigError: The rule or one of its settings is unknown, or a value is out of range.
    """
    if section.rule not in RULES:
        raise ConfigError(f"unknown rule '{section.rule}': expected one of {', '.join(RULES)}")
    try:
        return RULES[section.rule](**section.rule_settings)
    except TypeError as error:
        raise ConfigError(f"rule '{section.rule}': {error}") from error


def make_sleep_config(section: SleepSection, *, seed: int) -> SleepConfig:
    """Return the settings of the sleep that a section holds.

    Raises:
        ConfigError: A setting is unknown, or a value is out of range.
    """
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in section.settings.items()
    }
    try:
        return SleepConfig(seed=seed, **values)
    except TypeError as error:
        raise ConfigError(f"sleep: {error}") from error


def _guard(
    network: SpikingNetwork, section: SleepSection, held_out: ImageSet | None, classifier: nn.Module | None
) -> Any:
    if section.guard is None or held_out is None:
        return None
    if not isinstance(network.awake, AbstractPurifier):
        return accuracy_guard(held_out.images, held_out.labels, tolerance=section.guard)
    if classifier is None:
        return reconstruction_guard(held_out.images)
    return accuracy_guard(held_out.images, held_out.labels, classifier=classifier, tolerance=section.guard)


def _measures(network: SpikingNetwork, images: Tensor) -> Mapping[str, Callable[[SpikingNetwork], float]]:
    """Return what is watched along a sleep: the ELBO of a spiking variational autoencoder."""
    model = network.awake
    if not isinstance(model, AbstractPurifier):
        return {}

    @torch.no_grad()
    def elbo(spiking: SpikingNetwork) -> float:
        outputs = simulate(spiking, images, num_steps=ELBO_STEPS).outputs
        values = model.elbo({name: value.float() for name, value in outputs.items()}, images)
        return float(values.double().mean())

    return {"ELBO": elbo}


@fixed_arithmetic()
def refresh(
    awake: Path,
    out: Path,
    data: ImageSet,
    context: Context,
    *,
    config: ModelConfig,
    pairs: PairsConfig | None,
    cache: Path | None,
    classifier: nn.Module | None,
    num_batches: int,
    part: int,
    seed: int,
) -> AbstractAwakeModel:
    """Train an awake checkpoint for a few mini-batches, between two naps.

    Args:
        awake: Checkpoint of the woken network.
        out: Checkpoint of kind "awake" to write.
        data: Training images.
        context: How to run.
        config: Batch size and learning rate.
        pairs: Purifiers: which attacks.
        cache: Purifiers: file with the attacked images.
        classifier: Purifiers: what was attacked.
        num_batches: How many mini-batches; 0 copies the network.
        part: Which nap came before: each refresh takes the next images.
        seed: Of the order.
    """
    parent = file_digest(awake)
    step = fingerprint(
        parent=parent, num_batches=num_batches, part=part, seed=seed, data=data.digest, versions=versions()
    )
    done = finished(out, step, resume=context.resume, force=context.force)
    if done is not None:
        return model_from_checkpoint(done)
    model = model_from_checkpoint(load_checkpoint(awake, kind="awake"))
    if num_batches > 0:
        material = _undisturbed(data)
        if classifier is not None and pairs is not None:
            attacks = parse_attacks(pairs.attacks)

            def attack() -> PairSet:
                return adversarial_pairs(data, classifier, attacks, seed=seed, cache=cache)

            with joined_ranks() as ranks:
                material = ranks.main_first(attack)
        count = min(num_batches * config.batch_size, len(data))
        first = part * count % (len(data) - count + 1)
        chosen = slice(first, first + count)
        training = TrainConfig(
            epochs=1, batch_size=config.batch_size, learning_rate=REFRESH_RATE, seed=seed + part, device="cpu"
        )
        material = PairSet(
            variants=material.variants,
            noisy=material.noisy[:, chosen],
            clean=material.clean[chosen],
            labels=material.labels[chosen],
        )
        model = train(model, material, training, progress=context.progress).model.eval()
    origin = provenance(context.command, seed=seed, step=step, data=data.digest, parent=parent)
    _save_once(out, awake_checkpoint(model, provenance=origin))
    return model
