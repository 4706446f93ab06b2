"""How the weight of a penalty grows while a network trains."""

import math
from dataclasses import dataclass

from sleepdefense.errors import ConfigError

SHAPES = ("linear", "geometric")


@dataclass(frozen=True, slots=True, kw_only=True)
class Annealing:
    """A weight that rises in equal steps, and then stays.

        lambda(t) = 0                                              before `wait` epochs have passed,
        lambda(t) = minimum + k (maximum - minimum) / increments   in increment k = 1, 2, ... if linear,
        lambda(t) = minimum (maximum / minimum)^(k / increments)   if geometric

    Attributes:
        maximum: Where it ends, >= 0.
        minimum: Where it begins, in [0, maximum]; > 0 for a geometric rise.
        increments: Steps from one to the other, >= 1.
        epochs: How long the rise takes, > 0; every increment is held for the same number of batches.
        wait: Epochs before it begins, >= 0.
        shape: "linear", as printed, or "geometric".

    Raises:
        ConfigError: A setting is out of range.

    Source:
        Nayebi and Ganguli 2017, section 4, which gives maximum and size of the steps and not how long each is
        held: `paper_annealing`.

    >>> rise = Annealing(maximum=3.0, increments=3, epochs=1, wait=1)
    >>> [rise.weight(batch, batches_per_epoch=6) for batch in range(5, 14)]
    [0.0, 1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 3.0, 3.0]
    """

    maximum: float
    minimum: float = 0.0
    increments: int = 100
    epochs: float = 10.0
    wait: float = 0.0
    shape: str = "linear"

    def __post_init__(self) -> None:
        if self.shape not in SHAPES:
            raise ConfigError(f"annealing.shape must be one of {', '.join(SHAPES)}, got '{self.shape}'")
        if not 0 <= self.minimum <= self.maximum < math.inf:
            raise ConfigError(
                f"annealing needs 0 <= minimum <= maximum, got {self.minimum} and {self.maximum}"
            )
        if self.shape == "geometric" and not self.minimum > 0:
            raise ConfigError(f"a geometric annealing needs a minimum > 0, got {self.minimum}")
        if self.increments < 1 or not self.epochs > 0 or not self.wait >= 0:
            raise ConfigError(
                "annealing needs increments >= 1, epochs > 0 and wait >= 0, got "
                f"{self.increments}, {self.epochs} and {self.wait}"
            )

    def weight(self, batch: int, *, batches_per_epoch: int) -> float:
        """Return lambda for a batch, counted from 0 over all epochs."""
        past = batch / batches_per_epoch - self.wait
        if past < 0:
            return 0.0
        step = min(self.increments, math.floor(past / self.epochs * self.increments + 1e-9) + 1)
        if self.shape == "geometric":
            return self.minimum * math.pow(self.maximum / self.minimum, step / self.increments)
        return self.minimum + step * (self.maximum - self.minimum) / self.increments


PAPER_STEPS = {
    "saturating-sigmoid-mlp": (1.74, 0.001),
    "saturating-relu-mlp": (3.99e-8, 1e-10),
    "saturating-cnn": (1e-5, 1e-5),
}
"""Largest lambda and size of its steps, as printed, by the name of the network."""


def paper_annealing(model: str, *, epochs_per_increment: float = 1.0, wait: float = 0.0) -> Annealing:
    """Return the printed schedule of one of the paper's networks.

    Args:
        model: A key of `PAPER_STEPS`.
        epochs_per_increment: How long each step is held, which the paper does not say.
        wait: Epochs before the rise.

    Raises:
        ConfigError: The paper has no such network.

    >>> paper_annealing("saturating-relu-mlp").increments
    399
    """
    if model not in PAPER_STEPS:
        raise ConfigError(f"the paper has no schedule for '{model}': expected {', '.join(PAPER_STEPS)}")
    maximum, step = PAPER_STEPS[model]
    increments = round(maximum / step)
    return Annealing(
        maximum=maximum, increments=increments, epochs=increments * epochs_per_increment, wait=wait
    )
