"""The step that sleeps, and how its settings become a rule, a guard and what is measured on the way."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sleepdefense.checkpoint import file_digest, load_checkpoint, save_checkpoint
from sleepdefense.config import SleepSection, build_settings
from sleepdefense.consolidation import (
    RULES,
    SleepConfig,
    Slept,
    accuracy_guard,
    reconstruction_guard,
    sleep,
)
from sleepdefense.consolidation.ranks import joined_ranks
from sleepdefense.conversion.saving import network_from_checkpoint, spiking_checkpoint
from sleepdefense.data.image_set import ImageSet
from sleepdefense.errors import ConfigError
from sleepdefense.models.base import AbstractPurifier
from sleepdefense.pipeline.context import Context, fixed_arithmetic
from sleepdefense.pipeline.provenance import fingerprint, finished, provenance, versions
from sleepdefense.spiking import SpikingNetwork, simulate

ELBO_IMAGES = 32
ELBO_STEPS = 16


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

    def is_finished() -> bool:
        return finished(out, step, resume=context.resume, force=context.force) is not None

    with joined_ranks() as ranks:
        ranks.on_main(is_finished)
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

    def save() -> None:
        if not is_finished():  # what was woken from it knows it by its bytes, which tell of the command too
            save_checkpoint(out, spiking_checkpoint(slept.network, provenance=origin))

    with joined_ranks() as ranks:
        ranks.on_main(save)
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


def make_rule(section: SleepSection) -> Any:
    """Return the learning rule that a section names.

    Raises:
        ConfigError: The rule or one of its settings is unknown, or a value is out of range.
    """
    if section.rule not in RULES:
        raise ConfigError(f"unknown rule '{section.rule}': expected one of {', '.join(RULES)}")
    return build_settings(section.rule, RULES[section.rule], section.rule_settings)


def make_sleep_config(section: SleepSection, *, seed: int) -> SleepConfig:
    """Return the settings of the sleep that a section holds.

    Raises:
        ConfigError: A setting is unknown, or a value is out of range.
    """
    if "seed" in section.settings:
        raise ConfigError("'sleep.seed' is no setting of its own: a sleep takes the seed of its run (--seed)")
    config: SleepConfig = build_settings("sleep", SleepConfig, {"seed": seed, **section.settings})
    return config


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
