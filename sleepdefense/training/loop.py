"""The loop of every training, which can be stopped and resumed.

The loop knows batches of (noisy, clean, label) and a model with a loss; it knows no attack and no
architecture. Whatever is drawn at random in an epoch is a function of the seed and the epoch's number, so
a training that was killed and resumed ends with the same bytes as one that was not: on a CPU, with the same
number of threads and processes, for both of them change how torch rounds its sums.
"""

import copy
import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast
from torch import Tensor, nn
from typing_extensions import override

from sleepdefense.errors import CheckpointError, ConfigError, SleepDefenseError
from sleepdefense.models.base import AbstractAwakeModel
from sleepdefense.models.saving import state_arrays
from sleepdefense.models.training_state import load_training_, save_training
from sleepdefense.shapes import Images, Labels
from sleepdefense.training.config import Progress, TrainConfig, TrainResult
from sleepdefense.training.material import Material
from sleepdefense.training.processes import accelerator_for

_CHECK_EVERY = 20  # batches: looking at the loss makes a GPU wait


class _Objective(nn.Module):
    """The loss as a forward pass, which is what accelerate wraps for autocast and several processes."""

    def __init__(self, model: AbstractAwakeModel) -> None:
        super().__init__()
        self.model = model

    @override
    def forward(self, noisy: Images, clean: Images, label: Labels, generator: torch.Generator) -> Tensor:
        return self.model.loss(noisy, clean, label, generator=generator)


def fit(
    model: AbstractAwakeModel,
    material: Material,
    config: TrainConfig,
    path: Path | None,
    resume: bool,
    force: bool,
    progress: Progress | None,
    *,
    before_epoch: Callable[[AbstractAwakeModel], None] | None = None,
    after_epoch: Callable[[AbstractAwakeModel, Sequence[float]], bool] | None = None,
    facts: Mapping[str, Any] | None = None,
) -> TrainResult:
    """Train a copy of the model, epoch after epoch.

    Args:
        model: Where to start. It stays as it is.
        material: What it learns from.
        config: How to train.
        path: File that takes the state after every epoch, or None.
        resume: Go on from `path`; begin if it is not there yet.
        force: Begin anew although `path` is there.
        progress: Told after every batch.
        before_epoch: Called with the network in training as an epoch begins, also after an interruption. It
            may prepare what is no weight, as a function of the weights alone.
        after_epoch: Called in every process, with the network in training and all losses, as an epoch has
            ended and before its state is written: after an interruption perhaps once more for the same
            epoch. Ends the training if it returns True. It may look at the network, and not change it.
        facts: What else two trainings must share for one to go on with the state of the other; JSON.

    Returns:
        The trained network and the losses of all epochs.

    Raises:
        CheckpointError, ConfigError, SleepDefenseError: As `train` says.
    """
    if resume and (force or path is None):
        raise ConfigError("resume needs a checkpoint to go on from, and excludes force")
    model.check_data(material.clean, material.labels)
    if path is not None and path.exists() and not (resume or force):
        raise CheckpointError(f"'{path}' is there already: go on from it (--resume), or begin anew (--force)")
    with accelerator_for(config) as accelerator:
        trained = copy.deepcopy(model).to(accelerator.device).train()
        for weight in trained.parameters():
            if weight.ndim == 4 and accelerator.num_processes == 1:  # a third faster on the CPU
                weight.data = weight.data.contiguous(memory_format=torch.channels_last)
        learning = [weight for weight in trained.parameters() if weight.requires_grad]
        optimizer = torch.optim.Adam(learning, lr=config.learning_rate, betas=trained.adam_betas, fused=True)
        identity = {} if path is None else _identity(model, material, config, accelerator) | dict(facts or {})
        losses: list[float] = []
        scaler: dict[str, Any] = {}
        if path is not None and resume and path.exists():
            losses, scaler = load_training_(path, trained, optimizer, identity, config.epochs)
        objective, prepared = accelerator.prepare(_Objective(trained), optimizer)
        if accelerator.scaler is not None and scaler:
            accelerator.scaler.load_state_dict(scaler)
        while len(losses) < config.epochs:
            if before_epoch is not None:
                before_epoch(trained)
            told = _reporter(progress if accelerator.is_main_process else None, losses, config, material)
            loss = _epoch(objective, prepared, material, config, len(losses), accelerator, told)
            if not math.isfinite(loss):
                kept = f"kept in '{path}'" if path and losses else "nowhere"
                raise SleepDefenseError(
                    f"the loss became {loss} in epoch {len(losses) + 1} of {config.epochs}: lower the "
                    f"learning rate, now {config.learning_rate:g}, or train in float32, precision is now "
                    f"'{config.precision}'. The last good state is {kept}"
                )
            losses.append(loss)
            ends = after_epoch is not None and after_epoch(trained, losses)
            if path is not None and accelerator.is_main_process:
                scaler = {} if accelerator.scaler is None else accelerator.scaler.state_dict()
                save_training(path, trained, optimizer, identity, losses, scaler)
            accelerator.wait_for_everyone()
            if ends:
                break
        result = copy.deepcopy(model)
        state = trained.state_dict()
        # Each process has batch statistics of its own; all return those of the first, which are saved.
        result.load_state_dict(broadcast(state) if accelerator.num_processes > 1 else state)
    return TrainResult(model=result.eval(), losses=tuple(losses))


def _epoch(
    objective: nn.Module,
    optimizer: Any,
    material: Material,
    config: TrainConfig,
    epoch: int,
    accelerator: Accelerator,
    told: Callable[[int], None],
) -> float:
    """Train one epoch and return the mean loss of an image; early, if it is not finite."""
    device, rank, processes = accelerator.device, accelerator.process_index, accelerator.num_processes
    order_seed, *seeds = _seeds(config.seed, epoch, 1 + 2 * processes)
    variant, image = material.order(config.pairing, torch.Generator().manual_seed(order_seed))
    generator = torch.Generator(device).manual_seed(seeds[2 * rank])
    total = torch.zeros((), dtype=torch.float64, device=device)
    done = 0
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.default_generator.manual_seed(seeds[2 * rank + 1])  # for dropout, which takes no generator
        if device.type == "cuda":
            torch.cuda.manual_seed(seeds[2 * rank + 1])
        for number, chosen in enumerate(_batches(len(image), config.batch_size, 2 * processes), start=1):
            mine = slice(chosen.start + rank, chosen.stop, processes)
            noisy, clean, label = material.batch(variant[mine], image[mine], device)
            # Processes are averaged; this makes each image count the same where their shares differ.
            share = len(label) * processes / (chosen.stop - chosen.start)
            loss = objective(noisy, clean, label, generator) * share
            accelerator.backward(loss)
            optimizer.step()
            optimizer.zero_grad()
            total += loss.detach().double() * (chosen.stop - chosen.start)
            done = chosen.stop
            if number % _CHECK_EVERY == 0 and processes == 1 and not math.isfinite(total):
                return float(total)
            told(done)
    return float(accelerator.reduce(total, reduction="mean")) / done


def _reporter(
    progress: Progress | None, losses: list[float], config: TrainConfig, material: Material
) -> Callable[[int], None]:
    """Return what to call, within an epoch, with the number of images seen in it."""
    length = material.length(config.pairing)
    last = f", loss {losses[-1]:.4g}" if losses else ""
    text = f"epoch {len(losses) + 1} of {config.epochs}{last}"
    before = len(losses) * length

    def told(done: int) -> None:
        if progress is not None:
            progress(before + done, config.epochs * length, text)

    return told


def number_of_batches(length: int, batch_size: int) -> int:
    """Return the number of steps in an epoch of one process."""
    return len(_batches(length, batch_size, 2))


def _batches(length: int, batch_size: int, smallest: int) -> list[slice]:
    """Cut a range into batches; a rest too small for batch norms joins the batch before it."""
    if min(length, batch_size) < smallest:
        raise ConfigError(
            f"{min(length, batch_size)} images in a batch are too few: expected {smallest} or more, "
            "two for each process"
        )
    starts = list(range(0, length, batch_size))
    if length - starts[-1] < smallest:
        starts.pop()
    return [slice(first, last) for first, last in zip(starts, [*starts[1:], length], strict=True)]


def _seeds(seed: int, epoch: int, count: int) -> list[int]:
    """Return independent seeds for one epoch."""
    return [int(word) for word in np.random.SeedSequence((seed, epoch)).generate_state(count)]


def _identity(
    model: AbstractAwakeModel, material: Material, config: TrainConfig, accelerator: Accelerator
) -> dict[str, Any]:
    """Return what two trainings must share for one to go on with the state of the other."""
    start = hashlib.sha256()
    for name, array in sorted(state_arrays(model).items()):
        start.update(f"{name} {array.dtype.str} {array.shape}\n".encode() + array.tobytes())
    return {
        "model": model.name,
        "model_settings": dict(model.settings),
        "first weights": start.hexdigest(),
        "data": material.digest(),
        "batch_size": config.batch_size,
        "learning_rate": config.learning_rate,
        "seed": config.seed,
        "precision": config.precision,
        "pairing": config.pairing,
        "processes": accelerator.num_processes,
    }
