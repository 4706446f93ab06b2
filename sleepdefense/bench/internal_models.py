"""How long internal models take as one and as networks in a loop, beside what neither can do without."""

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sleepdefense.bench.clock import Progress, time_in_turns
from sleepdefense.errors import ConfigError
from sleepdefense.models.dim import DIM
from sleepdefense.models.stacked import MapOfStack, StackedLinear

INFERENCE, TRAINING = "inference", "training"
_TOGETHER, _LOOP, _ALONE = "together", "loop", "loop, each alone"
_PRODUCT, _ADAM = "one product", "Adam alone"


@dataclass(frozen=True, slots=True, kw_only=True)
class InternalModelTimes:
    """Seconds of all K internal models on one batch; CPU seconds with one thread, else by the clock.

    Attributes:
        batch_size: Images.
        work: "inference": the answers. "training": a step, forward, backward and Adam.
        together: As one, `DIM`.
        loop: K networks one after the other, each with its own forward pass, and in training its own backward
            pass and Adam; all see the same batch, which was denoised and disturbed once.
        loop_alone: The same, but each denoises the batch and draws noise for itself, as in K trainings; and
            beside it `together` with its one denoising. NaN for inference.
        together_alone: `together` with denoising and noise. NaN for inference.
        gflops: Of `together`, in 1e9 operations a second.
        product_gflops: Of a single torch.mm of the first layer's size on such a batch.
        floor: What the matrix products take at that speed, and in training Adam alone: neither a loop nor one
            pass can be faster.
        difference: Largest difference between the losses of the K models, together and in the loop, for the
            same noise, relative to the loss.
    """

    batch_size: int
    work: str
    together: float
    loop: float
    loop_alone: float
    together_alone: float
    gflops: float
    product_gflops: float
    floor: float
    difference: float

    @property
    def ratio(self) -> float:
        """How many times faster than the loop."""
        return self.loop / self.together

    @property
    def ratio_alone(self) -> float:
        """How many times faster than K trainings that each denoise and draw for themselves."""
        return self.loop_alone / self.together_alone

    @property
    def most(self) -> float:
        """How many times faster than the loop anything could be."""
        return self.loop / self.floor


def measure_internal_models(
    *,
    batch_sizes: Sequence[int] = (1, 10, 32, 128, 512),
    settings: Mapping[str, Any] | None = None,
    threads: int = 1,
    rounds: int = 10,
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[InternalModelTimes, ...]:
    """Time inference and a step of training, contestants taking turns; the fastest round of each counts.

    Args:
        batch_sizes: Images at once, each >= 1.
        settings: Keywords of `DIMConfig`.
        threads: Threads of torch.
        rounds: Measured rounds.
        seed: Of weights, images and noise.
        progress: Told before every run.

    Raises:
        ConfigError: A batch is empty, or a setting is out of range.
    """
    if not batch_sizes or min(batch_sizes) < 1:
        raise ConfigError(f"batch sizes must be numbers >= 1, got {tuple(batch_sizes)}")
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = DIM(**dict(settings or {}))
        if model.config.shared_encoder:
            raise ConfigError("internal models that share an encoder are no networks of their own")
        clock = time.thread_time if threads == 1 else time.perf_counter
        return tuple(
            _measure(model, work, batch_size, seed, rounds, clock, progress)
            for batch_size in batch_sizes
            for work in (INFERENCE, TRAINING)
        )
    finally:
        torch.set_num_threads(before)


def _measure(
    model: DIM,
    work: str,
    batch_size: int,
    seed: int,
    rounds: int,
    clock: Callable[[], float],
    progress: Progress | None,
) -> InternalModelTimes:
    config = model.config
    shape = (batch_size, config.channels, config.size, config.size)
    images = torch.rand(shape, generator=torch.Generator().manual_seed(seed))
    labels = torch.arange(batch_size) % config.num_classes
    generator = torch.Generator().manual_seed(seed)
    shown = model.shown_in_training(images, generator)
    difference = _difference(model, images, labels, seed)
    make = _inference if work == INFERENCE else _training
    contestants = make(copy.deepcopy(model), images, labels, shown, generator)
    best = time_in_turns(contestants, rounds=rounds, clock=clock, progress=progress)
    first, *rest = _operations(model, batch_size)
    # a layer costs as much again for the slope of its weights, and for that of its input, bar the image's
    operations = first + sum(rest) if work == INFERENCE else 2 * first + 3 * sum(rest)
    speed = first / best[_PRODUCT]
    floor = operations / speed + best.get(_ADAM, 0.0)
    return InternalModelTimes(
        batch_size=batch_size,
        work=work,
        together=best[_TOGETHER],
        loop=best[_LOOP],
        loop_alone=best.get(_ALONE, float("nan")),
        together_alone=best.get(f"{_TOGETHER}, alone", float("nan")),
        gflops=operations / best[_TOGETHER] / 1e9,
        product_gflops=speed / 1e9,
        floor=floor,
        difference=difference,
    )


def _operations(model: DIM, batch_size: int) -> list[int]:
    """Return the multiplications and additions of each layer of all internal models, the first one first."""
    layers = [layer for layer in (*model.encoder, *model.decoder) if isinstance(layer, StackedLinear)]
    return [2 * batch_size * layer.weight.numel() for layer in layers]


def _inference(
    model: DIM, images: Tensor, labels: Tensor, shown: Tensor, generator: torch.Generator
) -> dict[str, Callable[[], object]]:
    loop = _Loop(model)

    @torch.no_grad()
    def together() -> None:
        torch.tanh(model.decoder(model.encoder(shown)))

    @torch.no_grad()
    def apart() -> None:
        for network in loop.networks:
            network(shown)

    return {_TOGETHER: together, _LOOP: apart, _PRODUCT: _product(model, shown)}


def _training(
    model: DIM, images: Tensor, labels: Tensor, shown: Tensor, generator: torch.Generator
) -> dict[str, Callable[[], object]]:
    loop, target = _Loop(model), images.flatten(1)
    weights = [*model.encoder.parameters(), *model.decoder.parameters()]
    optimizer = torch.optim.Adam(weights, fused=True)
    held = [nn.Parameter(weight.detach().clone(memory_format=torch.preserve_format)) for weight in weights]
    for weight in held:
        weight.grad = torch.zeros_like(weight)
    adam = torch.optim.Adam(held, fused=True)

    def together(seen: Tensor) -> None:
        model.internal_errors(seen, target, labels).sum().backward()
        optimizer.step()
        optimizer.zero_grad()

    return {
        _TOGETHER: lambda: together(shown),
        _LOOP: lambda: loop.step(lambda: shown, target, labels),
        f"{_TOGETHER}, alone": lambda: together(model.shown_in_training(images, generator)),
        _ALONE: lambda: loop.step(lambda: model.shown_in_training(images, generator), target, labels),
        _PRODUCT: _product(model, shown),
        _ADAM: adam.step,
    }


def _product(model: DIM, shown: Tensor) -> Callable[[], object]:
    """Return one product of the first layer's size, into memory that is there."""
    first = model.encoder[0]
    assert isinstance(first, StackedLinear)
    weight = first.weight.detach().flatten(0, 1)
    room = torch.empty(len(shown), len(weight))
    return lambda: torch.mm(shown, weight.T, out=room)


class _Loop:
    """The same internal models as networks of their own, each with an Adam."""

    def __init__(self, model: DIM) -> None:
        self.networks = [_plain(internal) for internal in model.internal]
        self.optimizers = [torch.optim.Adam(each.parameters(), fused=True) for each in self.networks]

    def step(self, show: Callable[[], Tensor], target: Tensor, labels: Tensor) -> None:
        for number, (network, optimizer) in enumerate(zip(self.networks, self.optimizers, strict=True)):
            loss = _own_loss(network(show()), target, labels == number)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()

    def losses(self, shown: Tensor, target: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of each network."""
        return torch.stack(
            [
                _own_loss(network(shown), target, labels == number)
                for number, network in enumerate(self.networks)
            ]
        )


def _plain(internal: Any) -> nn.Sequential:
    """Copy one internal model out of its stacks."""
    layers: list[nn.Module] = []
    for layer in internal:
        if isinstance(layer, MapOfStack):
            own = nn.Linear(layer.in_features, layer.out_features)
            own.load_state_dict({"weight": layer.weight.detach(), "bias": layer.bias.detach()})
            layers.append(own)
        else:
            layers.append(copy.deepcopy(layer))
    return nn.Sequential(*layers)


def _own_loss(answer: Tensor, target: Tensor, is_own: Tensor) -> Tensor:
    return (answer - target * is_own[:, None]).square().sum() / len(target)


@torch.no_grad()
def _difference(model: DIM, images: Tensor, labels: Tensor, seed: int) -> float:
    shown = model.shown_in_training(images, torch.Generator().manual_seed(seed))
    one = model.internal_errors(shown, images.flatten(1), labels)
    other = _Loop(model).losses(shown, images.flatten(1), labels)
    return float(((one - other).abs() / other).max())
