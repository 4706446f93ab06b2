"""The awake phase: train a network on noisy and clean images, so that it can be stopped and resumed.

The loop knows batches of (noisy, clean, label) and a model with a loss; it knows no attack and no
architecture. Whatever is drawn at random in an epoch is a function of the seed and the epoch's number, so
a training that was killed and resumed ends with the same bytes as one that was not: on a CPU, with the same
number of threads and processes, for both of them change how torch rounds its sums.
"""

import copy
import hashlib
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState, PartialState
from accelerate.utils import broadcast
from torch import Tensor, nn
from typing_extensions import override

from sleepdefense.data import ImageSet, PairSet
from sleepdefense.errors import CheckpointError, ConfigError, SleepDefenseError
from sleepdefense.models.base import AbstractAwakeModel, AbstractClassifier
from sleepdefense.models.saving import state_arrays
from sleepdefense.models.training_state import load_training_, save_training
from sleepdefense.shapes import Images, Labels

Progress = Callable[[int, int, str], None]
"""Called with the images seen so far, the images in all, and a text for people."""

_CHOICES = {
    "device": ("auto", "cpu", "cuda"),
    "precision": ("no", "bf16", "fp16"),
    "pairing": ("sample", "all"),
}
_CHECK_EVERY = 20  # batches: looking at the loss makes a GPU wait


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """How to train.

    Attributes:
        epochs: Passes over the data, >= 1.
        batch_size: Images in a step of the optimizer, over all processes, >= 2 for each of them.
        learning_rate: Of Adam, > 0.
        seed: Source of all randomness, >= 0.
        device: "cpu", "cuda", or "auto": a GPU if there is one.
        precision: "no" (float32), or mixed precision in "bf16" or, on a GPU only, in "fp16".
        pairing: "sample" shows every clean image once an epoch, from a noisy variant drawn anew; "all"
            shows every pair of the set once.

    Raises:
        ConfigError: A setting is out of range.
    """

    epochs: int
    batch_size: int = 128
    learning_rate: float = 1e-3
    seed: int = 0
    device: str = "auto"
    precision: str = "no"
    pairing: str = "sample"

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("batch_size", 2), ("seed", 0)):
            if getattr(self, name) < least:
                raise ConfigError(f"train.{name} must be >= {least}, got {getattr(self, name)}")
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise ConfigError(f"train.learning_rate must be > 0, got {self.learning_rate}")
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ConfigError(
                    f"train.{name} must be one of {', '.join(choices)}, got '{getattr(self, name)}'"
                )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainResult:
    """What a training gives.

    Attributes:
        model: The trained network, a new one, in evaluation mode, where the given one is.
        losses: Mean loss of an image, for each epoch, while the weights were changing.
    """

    model: AbstractAwakeModel
    losses: tuple[float, ...]


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
    material = _Material(
        num_variants=len(pairs.variants),
        clean=pairs.clean,
        labels=pairs.labels,
        noisy=pairs.noisy_batch,
        digest=lambda: pairs.digest,
    )
    return _fit(model, material, config, checkpoint, resume, force, progress)


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
    material = _Material(
        num_variants=1,
        clean=images.images,
        labels=images.labels,
        noisy=None,
        digest=lambda: images.digest,
    )
    return _fit(model, material, config, checkpoint, resume, force, progress)


@dataclass(frozen=True, slots=True)
class _Material:
    """What the loop sees of the data."""

    num_variants: int
    clean: Tensor
    labels: Tensor
    noisy: Callable[[Tensor, Tensor], Tensor] | None  # of variants and images; None: the clean ones
    digest: Callable[[], str]

    def length(self, pairing: str) -> int:
        """Return the number of pairs in an epoch."""
        return len(self.clean) * (self.num_variants if pairing == "all" else 1)

    def order(self, pairing: str, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return variant and image of each pair of an epoch, in the order of training."""
        images = len(self.clean)
        if pairing == "all":
            pair = torch.randperm(self.num_variants * images, generator=generator)
            return pair // images, pair % images
        image = torch.randperm(images, generator=generator)
        return torch.randint(self.num_variants, (images,), generator=generator), image

    def batch(self, variant: Tensor, image: Tensor, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        """Return noisy images, clean images and labels, on the device and with the channels last."""
        clean = self.clean[image]
        noisy = clean if self.noisy is None else self.noisy(variant, image)
        layout = torch.channels_last
        return (
            noisy.to(device).contiguous(memory_format=layout),
            clean.to(device).contiguous(memory_format=layout),
            self.labels[image].to(device),
        )


class _Objective(nn.Module):
    """The loss as a forward pass, which is what accelerate wraps for autocast and several processes."""

    def __init__(self, model: AbstractAwakeModel) -> None:
        super().__init__()
        self.model = model

    @override
    def forward(self, noisy: Images, clean: Images, label: Labels, generator: torch.Generator) -> Tensor:
        return self.model.loss(noisy, clean, label, generator=generator)


def _fit(
    model: AbstractAwakeModel,
    material: _Material,
    config: TrainConfig,
    path: Path | None,
    resume: bool,
    force: bool,
    progress: Progress | None,
) -> TrainResult:
    """Train a copy of the model, epoch after epoch."""
    if resume and (force or path is None):
        raise ConfigError("resume needs a checkpoint to go on from, and excludes force")
    if path is not None and path.exists() and not (resume or force):
        raise CheckpointError(f"'{path}' is there already: go on from it (--resume), or begin anew (--force)")
    with _accelerator(config) as accelerator:
        trained = copy.deepcopy(model).to(accelerator.device).train()
        for weight in trained.parameters():
            if weight.ndim == 4 and accelerator.num_processes == 1:  # a third faster on the CPU
                weight.data = weight.data.contiguous(memory_format=torch.channels_last)
        learning = [weight for weight in trained.parameters() if weight.requires_grad]
        optimizer = torch.optim.Adam(learning, lr=config.learning_rate, fused=True)
        identity = {} if path is None else _identity(model, material, config, accelerator)
        losses: list[float] = []
        scaler: dict[str, Any] = {}
        if path is not None and resume and path.exists():
            losses, scaler = load_training_(path, trained, optimizer, identity, config.epochs)
        objective, prepared = accelerator.prepare(_Objective(trained), optimizer)
        if accelerator.scaler is not None and scaler:
            accelerator.scaler.load_state_dict(scaler)
        while len(losses) < config.epochs:
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
            if path is not None and accelerator.is_main_process:
                scaler = {} if accelerator.scaler is None else accelerator.scaler.state_dict()
                save_training(path, trained, optimizer, identity, losses, scaler)
            accelerator.wait_for_everyone()
        result = copy.deepcopy(model)
        state = trained.state_dict()
        # Each process has batch statistics of its own; all return those of the first, which are saved.
        result.load_state_dict(broadcast(state) if accelerator.num_processes > 1 else state)
    return TrainResult(model=result.eval(), losses=tuple(losses))


def _epoch(
    objective: nn.Module,
    optimizer: Any,
    material: _Material,
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
    progress: Progress | None, losses: list[float], config: TrainConfig, material: _Material
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


@contextmanager
def _accelerator(config: TrainConfig) -> Iterator[Accelerator]:
    """Yield an accelerator for this call alone, and leave accelerate's global state as it was.

    accelerate keeps the first device and precision of a process for good. It has no public way to begin
    again, so what it shares is put aside by hand.
    """
    has_gpu = torch.cuda.is_available()
    if config.device == "cuda" and not has_gpu:
        raise ConfigError("train.device is 'cuda', but torch finds no GPU here: use 'cpu' or 'auto'")
    shared = [state._shared_state for state in (PartialState, AcceleratorState, GradientState)]
    before = [dict(state) for state in shared]
    try:
        for state in shared:
            state.clear()
        try:
            accelerator = Accelerator(
                cpu=config.device == "cpu" or not has_gpu, mixed_precision=config.precision
            )
        except ValueError as error:
            raise ConfigError(f"train.precision '{config.precision}' cannot be had here: {error}") from error
        if config.precision == "fp16" and accelerator.device.type == "cpu":
            raise ConfigError("train.precision 'fp16' needs a GPU: use 'bf16' or 'no'")
        yield accelerator
    finally:
        for state, content in zip(shared, before, strict=True):
            state.clear()
            state.update(content)


def _identity(
    model: AbstractAwakeModel, material: _Material, config: TrainConfig, accelerator: Accelerator
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
