"""How long a step of training takes for internal models as one, and for as many networks in a loop."""

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sleepdefense.bench.clock import Progress, time_in_turns
from sleepdefense.models.dim import DIM
from sleepdefense.models.stacked import MapOfStack

ALONE, SHARED, TOGETHER = "loop, each alone", "loop, one noise for all", "together"


@dataclass(frozen=True, slots=True, kw_only=True)
class InternalModelTimes:
    """Seconds of one step of training: forward, backward and Adam, for all K internal models.

    Attributes:
        batch_size: Images in the step.
        num_classes: K.
        threads: Of torch.
        together: As one, `DIM`.
        loop_alone: K networks one after the other, each as if it were trained alone: it denoises the batch
            and draws its noise for itself.
        loop_shared: K networks one after the other on a batch that is denoised and disturbed once.
        difference: Largest difference between the losses of the K models, together and in the loop, for the
            same noise, relative to the loss.
    """

    batch_size: int
    num_classes: int
    threads: int
    together: float
    loop_alone: float
    loop_shared: float
    difference: float


def measure_internal_models(
    *,
    batch_size: int = 128,
    num_classes: int = 10,
    threads: int = 2,
    rounds: int = 10,
    seed: int = 0,
    progress: Progress | None = None,
) -> InternalModelTimes:
    """Time a step of training, contestants taking turns; the fastest round of each counts.

    Args:
        batch_size: Images in the step.
        num_classes: Internal models.
        threads: Threads of torch.
        rounds: Measured rounds.
        seed: Of weights, images and noise.
        progress: Told before every run.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = DIM(num_classes=num_classes)
        images = torch.rand(batch_size, 1, 28, 28, generator=torch.Generator().manual_seed(seed))
        labels = torch.arange(batch_size) % num_classes
        loop = _Loop(model)
        generator = torch.Generator().manual_seed(seed)
        optimizer = torch.optim.Adam([*model.encoder.parameters(), *model.decoder.parameters()], fused=True)

        def together() -> None:
            _internal_loss(model, images, labels, generator).backward()
            optimizer.step()
            optimizer.zero_grad()

        contestants: dict[str, Callable[[], object]] = {
            TOGETHER: together,
            ALONE: lambda: loop.step(images, labels, generator, is_shared=False),
            SHARED: lambda: loop.step(images, labels, generator, is_shared=True),
        }
        difference = _difference(model, images, labels, seed)
        best = time_in_turns(contestants, rounds=rounds, clock=time.perf_counter, progress=progress)
    finally:
        torch.set_num_threads(before)
    return InternalModelTimes(
        batch_size=batch_size,
        num_classes=num_classes,
        threads=threads,
        together=best[TOGETHER],
        loop_alone=best[ALONE],
        loop_shared=best[SHARED],
        difference=difference,
    )


class _Loop:
    """The same internal models as networks of their own, each with an Adam."""

    def __init__(self, model: DIM) -> None:
        self.model = model
        self.networks = [_plain(internal) for internal in model.internal]
        self.optimizers = [torch.optim.Adam(each.parameters(), fused=True) for each in self.networks]

    def step(self, images: Tensor, labels: Tensor, generator: torch.Generator, *, is_shared: bool) -> None:
        target = images.flatten(1)
        seen = self._seen(images, generator) if is_shared else None
        for number, (network, optimizer) in enumerate(zip(self.networks, self.optimizers, strict=True)):
            shown = self._seen(images, generator) if seen is None else seen
            loss = _own_loss(network(shown), target, labels == number)
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

    def _seen(self, images: Tensor, generator: torch.Generator) -> Tensor:
        return self.model.shown_in_training(images, generator)


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


def _internal_loss(model: DIM, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
    shown = model.shown_in_training(images, generator)
    return model.internal_errors(shown, images.flatten(1), labels).sum()


@torch.no_grad()
def _difference(model: DIM, images: Tensor, labels: Tensor, seed: int) -> float:
    shown = model.shown_in_training(images, torch.Generator().manual_seed(seed))
    one = model.internal_errors(shown, images.flatten(1), labels)
    other = _Loop(model).losses(shown, images.flatten(1), labels)
    return float(((one - other).abs() / other).max())
