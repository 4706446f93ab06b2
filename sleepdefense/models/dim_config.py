"""Denoised internal models: the switches that make a member of the family."""

import math
from dataclasses import dataclass

from sleepdefense.errors import ConfigError

_COUNTS = ("denoiser_width", "width", "bottleneck", "latent", "channels", "size")


@dataclass(frozen=True, slots=True, kw_only=True)
class DIMConfig:
    """What distinguishes denoised internal models from each other.

    Attributes:
        denoiser: Put the denoiser in front; without it the internal models see the image.
        shared_encoder: One encoder for all classes and a decoder for each, in place of K autoencoders.
        binary: See the image, and what the denoiser makes of it, in black and white.
        denoiser_width: Units of the denoiser's first layer; the next have a half, a quarter, an eighth.
        width: Units of an internal model's first layer; the next has a quarter.
        bottleneck: Units of its third layer.
        latent: Units of its fourth layer, in the middle.
        noise: Half width of the uniform noise in training, in intensities, >= 0.
        flips: Probability of a pixel to rise by 1 in training, and again of one to sink by 1, in [0, 1/2].
        darkest: The brightness factor in the training of the internal models is drawn from [darkest, 1].
        threshold: Intensity from which on a pixel is white, where `binary`, in (0, 1].
        channels: Channels of the image.
        size: Height and width of the image in pixels.
        num_classes: Number of classes and internal models, >= 2.

    Raises:
        ConfigError: A value is out of range.

    Source:
        Yang et al., "Denoised Internal Models", appendix A.1.1 for all numbers.
    """

    denoiser: bool = True
    shared_encoder: bool = False
    binary: bool = False
    denoiser_width: int = 560
    width: int = 256
    bottleneck: int = 12
    latent: int = 10
    noise: float = 0.5
    flips: float = 1 / 12
    darkest: float = 0.0
    threshold: float = 0.5
    channels: int = 1
    size: int = 28
    num_classes: int = 10

    def __post_init__(self) -> None:
        for name in _COUNTS:
            if getattr(self, name) < 1:
                raise ConfigError(f"dim.{name} must be >= 1, got {getattr(self, name)}")
        if self.num_classes < 2:
            raise ConfigError(
                f"dim.num_classes must be >= 2, got {self.num_classes}: the class is the internal model that "
                "answers most, and a single one always does"
            )
        if self.denoiser_width < 8 or self.width < 4:
            raise ConfigError(
                f"dim.denoiser_width must be >= 8 and dim.width >= 4, got {self.denoiser_width} and "
                f"{self.width}: later layers have an eighth and a quarter of them"
            )
        if not (math.isfinite(self.noise) and self.noise >= 0):
            raise ConfigError(f"dim.noise must be >= 0, got {self.noise}")
        for name, most in (("flips", 0.5), ("darkest", 1.0)):
            if not 0 <= getattr(self, name) <= most:
                raise ConfigError(f"dim.{name} must be in [0, {most:g}], got {getattr(self, name)}")
        if not 0 < self.threshold <= 1:
            raise ConfigError(f"dim.threshold must be in (0, 1], got {self.threshold}")

    @property
    def pixels(self) -> int:
        """Values in an image."""
        return self.channels * self.size * self.size

    @property
    def denoiser_layers(self) -> tuple[int, ...]:
        """Units of the denoiser's encoder, the image first."""
        width = self.denoiser_width
        return (self.pixels, width, width // 2, width // 4, width // 8)

    @property
    def internal_layers(self) -> tuple[int, ...]:
        """Units of the encoder of an internal model, the image first."""
        return (self.pixels, self.width, self.width // 4, self.bottleneck, self.latent)
