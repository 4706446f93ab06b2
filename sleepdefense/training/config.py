"""How to train, and what a training gives."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from sleepdefense.errors import ConfigError
from sleepdefense.models.base import AbstractAwakeModel

Progress = Callable[[int, int, str], None]
"""Called with the images seen so far, the images in all, and a text for people."""

_CHOICES = {
    "device": ("auto", "cpu", "cuda"),
    "precision": ("no", "bf16", "fp16"),
    "pairing": ("sample", "all"),
}


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
