"""Analysis by synthesis: its settings."""

import math
from dataclasses import dataclass

from sleepdefense.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class SynthesisConfig:
    """How an ABS network is built, and how it looks for the latent that explains an image best.

    Attributes:
        binary: See images in black and white (biABS).
        latent: Units of the latent of each autoencoder.
        width: Maps of the largest layer of a decoder; its other layers have a half.
        samples: Latents that the search for a start goes through, >= 1; the same for all classes and images.
        num_steps: Descents on the latent from there, >= 0.
        learning_rate: Of these descents, by Adam, > 0.
        radius: Latents farther from 0 are pulled back to here, > 0.
        kl_weight: Weight of the prior, >= 0.
        threshold: Intensity from which on a pixel is white, where `binary`, in (0, 1].
        channels: Channels of the image.
        size: Height and width of the image in pixels, a multiple of 4, >= 16.
        num_classes: Number of classes and autoencoders, >= 2.

    Raises:
        ConfigError: A value is out of range.
    """

    binary: bool = False
    latent: int = 8
    width: int = 32
    samples: int = 8000
    num_steps: int = 49
    learning_rate: float = 0.05
    radius: float = 5.0
    kl_weight: float = 1.0
    threshold: float = 0.5
    channels: int = 1
    size: int = 28
    num_classes: int = 10

    def __post_init__(self) -> None:
        for name, least in (("latent", 1), ("width", 2), ("samples", 1), ("num_steps", 0), ("channels", 1)):
            if getattr(self, name) < least:
                raise ConfigError(f"abs.{name} must be >= {least}, got {getattr(self, name)}")
        if self.num_classes < 2:
            raise ConfigError(
                f"abs.num_classes must be >= 2, got {self.num_classes}: a class is what explains an image "
                "better than the others do"
            )
        if self.size < 16 or self.size % 4:
            raise ConfigError(
                f"abs.size must be a multiple of 4 and >= 16, got {self.size}: the decoders make no others. "
                "Enlarge the images (28 is MNIST's size)"
            )
        for name in ("learning_rate", "radius"):
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigError(f"abs.{name} must be > 0, got {getattr(self, name)}")
        if not 0 <= self.kl_weight < math.inf:
            raise ConfigError(f"abs.kl_weight must be >= 0, got {self.kl_weight}")
        if not 0 < self.threshold <= 1:
            raise ConfigError(f"abs.threshold must be in (0, 1], got {self.threshold}")

    @property
    def pixels(self) -> int:
        """Values in an image."""
        return self.channels * self.size * self.size
