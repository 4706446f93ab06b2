"""How much the checks may look at, and at which budget."""

import math
from dataclasses import dataclass
from typing import Literal

from sleepdefense.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckConfig:
    """What the checks attack with, and how much they cost.

    Attributes:
        norm: What the small attacks of the checks are measured in.
        epsilon: Their budget: that of the evaluation in question, > 0.
        num_images: Images that the attacks and most gradient checks look at, all classified correctly.
        batch_size: Images shown to a model at once; changes the memory used, not what is found.
        steps: Gradient steps N of the iterated attack, >= 2.
        num_probed: Images on which gradients are compared with finite differences.
        num_directions: Directions of these comparisons on each image.
        num_random_points: Random points tried around each image that the gradient attacks did not break.
        num_noise_points: Random points tried around every image, as a black-box attack.
        num_queries: Queries of the black-box attack on each image, where the catalogue has one.
        num_planted: Images that get a planted weakness.
        num_inner_points: Points around each of these at which the planted weakness must not show.

    Raises:
        ConfigError: A setting is out of range.
    """

    norm: Literal["Linf", "L2"] = "Linf"
    epsilon: float = 0.3
    num_images: int = 64
    batch_size: int = 64
    steps: int = 20
    num_probed: int = 16
    num_directions: int = 32
    num_random_points: int = 10_000
    num_noise_points: int = 50
    num_queries: int = 200
    num_planted: int = 32
    num_inner_points: int = 50

    def __post_init__(self) -> None:
        if self.norm not in ("Linf", "L2"):
            raise ConfigError(f"checks.norm must be Linf or L2, got '{self.norm}'")
        if not (math.isfinite(self.epsilon) and self.epsilon > 0):
            raise ConfigError(f"checks.epsilon must be > 0, got {self.epsilon}")
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            least = 2 if name in ("steps", "num_directions", "num_inner_points") else 1
            if isinstance(value, int) and value < least:
                raise ConfigError(f"checks.{name} must be >= {least}, got {value}")
