"""Cut a sleep back to what the awake network can bear."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from sleepdefense.consolidation.dreaming import with_masters
from sleepdefense.conversion import to_awake
from sleepdefense.errors import ConfigError, SleepError
from sleepdefense.spiking.network import SpikingNetwork

_BATCH = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """What a sleep may cost.

    Attributes:
        score: Judges an awake network, on data that neither training nor test uses.
        tolerance: The most that the score may get worse, >= 0.
        higher_is_better: False for an error.
        relative: `tolerance` is a fraction of the score before the sleep.
        steps: The sleep is cut back in steps of 1 / steps, >= 1.

    Raises:
        ConfigError: A value is out of range.
    """

    score: Callable[[nn.Module], float]
    tolerance: float
    higher_is_better: bool = True
    relative: bool = False
    steps: int = 20

    def __post_init__(self) -> None:
        if not (math.isfinite(self.tolerance) and self.tolerance >= 0):
            raise ConfigError(f"guard.tolerance must be >= 0, got {self.tolerance}")
        if self.steps < 1:
            raise ConfigError(f"guard.steps must be >= 1, got {self.steps}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a guard found.

    Attributes:
        factor: The part of the sleep that was kept, in [0, 1].
        before: Score before the sleep.
        factors: The parts tried, largest first.
        scores: Score of each.
    """

    factor: float
    before: float
    factors: tuple[float, ...]
    scores: tuple[float, ...]


def accuracy_guard(
    images: Float[Tensor, " image *unit"],
    labels: Int[Tensor, " image"],
    *,
    classifier: nn.Module | None = None,
    tolerance: float = 0.005,
) -> Guard:
    """Return a guard of the clean accuracy, a fraction in [0, 1].

    Args:
        images: Held-out images, (image, *unit).
        labels: Class of each, (image,).
        classifier: Follows the network, if that is a purifier.
        tolerance: The most that the accuracy may fall; 0.005: half a point.
    """

    @torch.no_grad()
    def accuracy(model: nn.Module) -> float:
        right = 0
        for batch, label in zip(images.split(_BATCH), labels.split(_BATCH), strict=True):
            logits = model(batch) if classifier is None else classifier(model(batch))
            right += int((logits.argmax(1) == label).sum())
        return right / len(images)

    return Guard(score=accuracy, tolerance=tolerance)


def reconstruction_guard(images: Float[Tensor, " image *unit"], *, tolerance: float = 0.05) -> Guard:
    """Return a guard of a purifier's mean squared error on clean images.

    Args:
        images: Held-out images, (image, *unit).
        tolerance: The most that the error may grow, as a fraction of the error before the sleep.
    """

    @torch.no_grad()
    def error(model: nn.Module) -> float:
        total = sum(float((model(batch) - batch).double().square().sum()) for batch in images.split(_BATCH))
        return total / images.numel()

    return Guard(score=error, tolerance=tolerance, higher_is_better=False, relative=True)


def part_of_the_way(before: SpikingNetwork, after: SpikingNetwork, factor: float) -> SpikingNetwork:
    """Return W0 + factor (W1 - W0) in every layer that changed; 0 gives `before` itself, 1 gives `after`."""
    if factor == 0.0:
        return before
    if factor == 1.0:
        return after
    masters = {}
    for name, end in after.weights.items():
        start = before.weights[name].double()
        if not torch.equal(start, end.double()):
            mixed = start + factor * (end.double() - start)
            masters[name] = mixed.cpu().numpy().astype(np.float32)
    return with_masters(before, masters)


def cut_back(before: SpikingNetwork, after: SpikingNetwork, guard: Guard) -> tuple[SpikingNetwork, Verdict]:
    """Return the farthest network on the way from `before` to `after` that the guard lets pass.

    Args:
        before: The network before its sleep.
        after: The same after it.
        guard: Judges each, awake.

    Returns:
        The network, and what was tried.

    Raises:
        SleepError: A score is not finite.
    """
    start = _score(guard, before)
    allowed = guard.tolerance * (abs(start) if guard.relative else 1.0)
    factors: list[float] = []
    scores: list[float] = []
    for step in range(guard.steps, 0, -1):
        network = part_of_the_way(before, after, step / guard.steps)
        factors.append(step / guard.steps)
        scores.append(_score(guard, network))
        loss = start - scores[-1] if guard.higher_is_better else scores[-1] - start
        if loss <= allowed:
            return network, Verdict(
                factor=factors[-1], before=start, factors=tuple(factors), scores=tuple(scores)
            )
    return before, Verdict(factor=0.0, before=start, factors=tuple(factors), scores=tuple(scores))


def _score(guard: Guard, network: SpikingNetwork) -> float:
    score = float(guard.score(to_awake(network)))
    if not math.isfinite(score):
        raise SleepError(f"the guard's score is {score}, expected a finite number: check its data")
    return score
