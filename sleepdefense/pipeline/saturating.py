"""The steps that train a classifier into saturation, or on images that are attacked as it is."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from sleepdefense.checkpoint import file_digest
from sleepdefense.config import ModelConfig, build_settings
from sleepdefense.data.image_set import ImageSet
from sleepdefense.errors import ConfigError
from sleepdefense.models import awake_from_file
from sleepdefense.models.base import AbstractAwakeModel, AbstractClassifier
from sleepdefense.models.saving import awake_checkpoint, model_from_checkpoint
from sleepdefense.pipeline.context import Context, fixed_arithmetic
from sleepdefense.pipeline.provenance import fingerprint, finished, provenance, versions
from sleepdefense.pipeline.saving import save_once
from sleepdefense.pipeline.steps import new_model
from sleepdefense.training import (
    AdversarialConfig,
    Annealing,
    SaturationConfig,
    TrainConfig,
    train_adversarial,
    train_saturating,
)


@fixed_arithmetic()
def saturate_step(
    config: ModelConfig,
    data: ImageSet,
    out: Path,
    context: Context,
    *,
    seed: int,
    saturation: SaturationConfig,
    held_out: ImageSet,
    start: Path | None = None,
    precision: str = "no",
) -> AbstractClassifier:
    """Train a classifier under a penalty that grows: `train_saturating` from checkpoint to checkpoint.

    Args:
        config: The network and how long.
        data: Training images.
        out: Checkpoint of kind "awake" to write, with the history of the training in its provenance.
        context: How to run.
        seed: Of weights and order.
        saturation: The penalty.
        held_out: Images that judge; none of `data`.
        start: Checkpoint of a network of this kind to begin with; None: fresh weights.
        precision: "no", "bf16" or "fp16".

    Returns:
        The network that was kept, in evaluation mode, on the CPU.

    Raises:
        ConfigError: The model is no classifier, `start` is of another kind, or `out` exists.
        CheckpointError: A file is damaged or of another training.
    """

    def work(model: AbstractClassifier, training: TrainConfig, how: Mapping[str, Any]) -> _Trained:
        result = train_saturating(model, data, training, saturation, held_out=held_out, **how)
        story = {
            "kept": result.kept,
            "diverged": result.diverged,
            "weight": result.weight,
            "summary": str(result),
            "history": [asdict(epoch) for epoch in result.history],
        }
        return result.model, {"saturation": story}

    facts = {"saturation": asdict(saturation), "held out": held_out.digest}
    return _train_once(
        config, data, out, context, seed=seed, start=start, precision=precision, facts=facts, work=work
    )


@fixed_arithmetic()
def adversarial_step(
    config: ModelConfig,
    data: ImageSet,
    out: Path,
    context: Context,
    *,
    seed: int,
    adversarial: AdversarialConfig | None = None,
    start: Path | None = None,
    precision: str = "no",
) -> AbstractClassifier:
    """Train a classifier on images that are attacked as it is: `train_adversarial` between checkpoints.

    Args:
        config: The network and how long.
        data: Training images.
        out: Checkpoint of kind "awake" to write.
        context: How to run.
        seed: Of weights, order and attacks.
        adversarial: How strong the attack is, and what part the clean images keep; None: Madry's.
        start: Checkpoint of a network of this kind to begin with; None: fresh weights.
        precision: "no", "bf16" or "fp16".

    Returns:
        The trained network, in evaluation mode, on the CPU.

    Raises:
        ConfigError: The model is no classifier, `start` is of another kind, or `out` exists.
        CheckpointError: A file is damaged or of another training.
    """
    options = adversarial or AdversarialConfig()

    def work(model: AbstractClassifier, training: TrainConfig, how: Mapping[str, Any]) -> _Trained:
        return train_adversarial(model, data, training, options, **how).model, {}

    facts = {"adversarial": asdict(options)}
    return _train_once(
        config, data, out, context, seed=seed, start=start, precision=precision, facts=facts, work=work
    )


def train_in_mode(
    mode: str,
    config: ModelConfig,
    data: ImageSet,
    out: Path,
    context: Context,
    *,
    seed: int,
    settings: Mapping[str, Any],
    start: Path | None = None,
    held_out: int = 1000,
    precision: str = "no",
) -> AbstractClassifier:
    """Train a classifier "adversarial" or "saturated", with settings such as a command line gives them.

    Args:
        mode: Which of the two.
        config: The network and how long.
        data: Training images.
        out: Checkpoint of kind "awake" to write.
        context: How to run.
        seed: Of weights and order.
        settings: Keywords of `AdversarialConfig`, or of `SaturationConfig` and `Annealing` together.
        start: Checkpoint to begin with; None: fresh weights.
        held_out: Saturated: the last so many images of `data` judge instead, >= 1.
        precision: "no", "bf16" or "fp16".

    Returns:
        The trained network, in evaluation mode, on the CPU.

    Raises:
        ConfigError: The mode or a setting is unknown, a value is out of range, or too few images are left.
        CheckpointError: A file is damaged or of another training.
    """
    if mode == "adversarial":
        adversarial: AdversarialConfig = _settings(AdversarialConfig, settings)
        return adversarial_step(
            config, data, out, context, seed=seed, adversarial=adversarial, start=start, precision=precision
        )
    if mode != "saturated":
        raise ConfigError(f"there is no mode '{mode}': expected adversarial or saturated")
    known = {each.name for each in fields(Annealing)}
    rise = {name: value for name, value in settings.items() if name in known}
    rest = {name: value for name, value in settings.items() if name not in known}
    annealing: Annealing = _settings(Annealing, {"maximum": 0.1, "epochs": 0.75 * config.epochs, **rise})
    saturation: SaturationConfig = replace(_settings(SaturationConfig, rest), annealing=annealing)
    cut = len(data) - held_out
    if cut < 2:
        raise ConfigError(
            f"{held_out} held-out images leave {cut} of {len(data)} to train on: hold out fewer"
        )
    return saturate_step(
        config,
        data.part(0, cut),
        out,
        context,
        seed=seed,
        saturation=saturation,
        held_out=data.part(cut, len(data)),
        start=start,
        precision=precision,
    )


def _settings(kind: Any, values: Mapping[str, Any]) -> Any:
    """Build a class of settings that are given one by one; the annealing of a saturation is not."""
    known = [each.name for each in fields(kind) if each.name != "annealing"]
    for name in values:
        if name not in known:
            raise ConfigError(f"unknown setting '{name}': expected one of {', '.join(known)}")
    return build_settings("", kind, values)


_Trained = tuple[AbstractAwakeModel, Mapping[str, Any]]
"""A network, and what else its file says of how it came to be."""


def _train_once(
    config: ModelConfig,
    data: ImageSet,
    out: Path,
    context: Context,
    *,
    seed: int,
    start: Path | None,
    precision: str,
    facts: Mapping[str, Any],
    work: Callable[[AbstractClassifier, TrainConfig, Mapping[str, Any]], _Trained],
) -> AbstractClassifier:
    """Train a classifier and write it, or return what an earlier run wrote.

    Args:
        config: The network and how long.
        data: Training images.
        out: Checkpoint to write; the state of the training lies beside it.
        context: How to run.
        seed: Of weights and order.
        start: Checkpoint to begin with.
        precision: As `TrainConfig` has it.
        facts: What else two trainings must share to be the same.
        work: Trains the network, with the keywords that say where its state lies.
    """
    parent = None if start is None else file_digest(start)
    model = _begin(config, data, start, seed=seed)
    step = fingerprint(
        model=asdict(config),
        data=data.digest,
        seed=seed,
        precision=precision,
        versions=versions(),
        start=parent,
        **facts,
    )
    done = finished(out, step, resume=context.resume, force=context.force)
    if done is not None:
        return _classifier(model_from_checkpoint(done))
    training = TrainConfig(
        epochs=config.epochs,
        batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        seed=seed,
        device=context.device,
        precision=precision,
    )
    how = {
        "checkpoint": out.with_name(f"{out.stem}.training.h5"),
        "resume": context.resume,
        "force": context.force,
        "progress": context.progress,
    }
    found, story = work(model, training, how)
    trained = _classifier(found.cpu().eval())
    origin = provenance(context.command, seed=seed, step=step, data=data.digest, parent=parent)
    save_once(out, awake_checkpoint(trained, provenance=origin | dict(story)))
    return trained


def _begin(config: ModelConfig, data: ImageSet, start: Path | None, *, seed: int) -> AbstractClassifier:
    """Return the network to start with."""
    model = _classifier(new_model(config, data, seed=seed))
    if start is None:
        return model
    found = _classifier(awake_from_file(start))
    if (found.name, found.settings) != (model.name, model.settings):
        raise ConfigError(
            f"'{start}' holds a {found.name} with {found.settings}: expected a {model.name} with "
            f"{model.settings}"
        )
    return found.train()


def _classifier(model: object) -> AbstractClassifier:
    if not isinstance(model, AbstractClassifier):
        raise ConfigError(
            f"a {getattr(model, 'name', type(model).__name__)} is no classifier: only these saturate, or "
            "learn from their own adversarial images"
        )
    return model
