"""Networks that see images in black and white, and the differentiable networks that stand in for them."""

import math
from typing import ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from typing_extensions import override

from sleepdefense.errors import ConfigError
from sleepdefense.models.base import AbstractClassifier, traceable
from sleepdefense.models.vanilla_cnn import VanillaCNN
from sleepdefense.shapes import Images, Logits

ALPHAS = (10.0, 15.0, 20.0, 50.0, 100.0)
"""Slopes of the sigmoids that stand in for the threshold; Yang et al. (DIM), appendix A.2."""


@runtime_checkable
class HasProxies(Protocol):
    """A network whose own gradient misleads, and which names networks to be attacked in its place."""

    def proxies(self) -> dict[str, nn.Module]:
        """Return differentiable networks with the same weights, by name."""


@runtime_checkable
class BinarisesInput(Protocol):
    """A network whose first step has no gradient, and which names networks to be attacked in its place.

    It builds no attack: attacks are not the business of a model. What is evaluated puts the two together.
    """

    @property
    def threshold(self) -> float:
        """The intensity from which on a pixel is white."""

    def proxies(self) -> dict[str, nn.Module]:
        """Return differentiable networks with the same weights, by name."""


class Binarised(nn.Module):
    """Classify images in black and white: logits = network(1 where the pixel is >= threshold, else 0).

    The threshold has no gradient, which makes gradient attacks fail without making the network robust:
    evaluation attacks the `proxies` and judges on this network.

    Args:
        network: Any module from images to logits.
        threshold: Intensity from which on a pixel is white, in (0, 1].

    Raises:
        ConfigError: The threshold is out of range.

    Source:
        Schott et al. 2019 and the DIM paper, "biCNN".
    """

    def __init__(self, network: nn.Module, threshold: float = 0.5) -> None:
        _check_threshold("binarised", threshold)
        super().__init__()
        self.network = network
        self.threshold = threshold

    @override
    @traceable
    def forward(self, image: Images) -> Logits:
        """Return the logits, (batch, class)."""
        logits: Tensor = self.network(binarise(image, self.threshold))
        return logits

    @override
    def extra_repr(self) -> str:
        """Return the threshold, so that two networks that differ in it can be told apart."""
        return f"threshold={self.threshold}"

    def proxies(self) -> dict[str, nn.Module]:
        """Return differentiable networks with the same weights, by name; see `binary_proxies`."""
        return binary_proxies(self.network, self.threshold)


class BinaryCNN(AbstractClassifier):
    """The vanilla CNN on images in black and white: a `Binarised` network that can be saved and trained.

    Args:
        width: As for `VanillaCNN`.
        channels: As for `VanillaCNN`.
        size: As for `VanillaCNN`.
        num_classes: As for `VanillaCNN`.
        threshold: Intensity from which on a pixel is white, in (0, 1].

    Raises:
        ConfigError: A setting is out of range, or the image too small.

    Source:
        Schott et al. 2019, "Binary CNN".
    """

    name: ClassVar[str] = "binary-cnn"

    def __init__(
        self,
        *,
        width: int = 20,
        channels: int = 1,
        size: int = 28,
        num_classes: int = 10,
        threshold: float = 0.5,
    ) -> None:
        _check_threshold(self.name, threshold)
        network = VanillaCNN(width=width, channels=channels, size=size, num_classes=num_classes)
        super().__init__({**network.settings, "threshold": threshold})
        self.network = network
        self.threshold = threshold

    @override
    @traceable
    def forward(self, image: Images) -> Logits:
        """Return the logits, (batch, class)."""
        logits: Tensor = self.network(binarise(image, self.threshold))
        return logits

    @override
    def extra_repr(self) -> str:
        """Return the threshold, so that two networks that differ in it can be told apart."""
        return f"threshold={self.threshold}"

    def proxies(self) -> dict[str, nn.Module]:
        """Return differentiable networks with the same weights, by name; see `binary_proxies`."""
        return binary_proxies(self.network, self.threshold)


def binary_proxies(network: nn.Module, threshold: float) -> dict[str, nn.Module]:
    """Return networks to be attacked in place of a binarised one; they share its weights.

    Five see the image through sigmoid(alpha (x - threshold)), one through the threshold itself with the
    gradient of the identity, and one is the network without the threshold.

    Args:
        network: What comes behind the threshold.
        threshold: Intensity from which on a pixel is white.

    Returns:
        "sigmoid-10", "sigmoid-15", "sigmoid-20", "sigmoid-50", "sigmoid-100", "straight-through" and
        "not-binarised".

    Source:
        The DIM paper, appendix A.2, for the sigmoids, whose shift by the threshold is lost in its print.
    """
    sigmoids: dict[str, nn.Module] = {
        f"sigmoid-{alpha:g}": SigmoidBinarised(network, threshold, alpha) for alpha in ALPHAS
    }
    return {**sigmoids, "straight-through": StraightThrough(network, threshold), "not-binarised": network}


class SigmoidBinarised(nn.Module):
    """See the image through a soft threshold: logits = network(sigmoid(alpha (x - threshold)))."""

    def __init__(self, network: nn.Module, threshold: float, alpha: float) -> None:
        super().__init__()
        self.network = network
        self.threshold = threshold
        self.alpha = alpha

    @override
    def forward(self, image: Images) -> Logits:
        """Return the logits, (batch, class)."""
        logits: Tensor = self.network(torch.sigmoid(self.alpha * (image - self.threshold)))
        return logits

    @override
    def extra_repr(self) -> str:
        """Return the settings of the sigmoid."""
        return f"threshold={self.threshold}, alpha={self.alpha}"


class StraightThrough(nn.Module):
    """See the image through the hard threshold, whose gradient is taken for that of the identity."""

    def __init__(self, network: nn.Module, threshold: float) -> None:
        super().__init__()
        self.network = network
        self.threshold = threshold

    @override
    def forward(self, image: Images) -> Logits:
        """Return the logits, (batch, class)."""
        black_and_white = binarise(image, self.threshold) + (image - image.detach())  # adds 0, exactly
        logits: Tensor = self.network(black_and_white)
        return logits

    @override
    def extra_repr(self) -> str:
        """Return the threshold."""
        return f"threshold={self.threshold}"


@traceable
def binarise(image: Images, threshold: float) -> Images:
    """Return 1 where a pixel is at least as bright as the threshold, 0 elsewhere.

    >>> binarise(torch.tensor([[[[0.2, 0.5, 0.9]]]]), 0.5)
    tensor([[[[0., 1., 1.]]]])
    """
    return (image >= threshold).to(image.dtype)


def _check_threshold(name: str, threshold: float) -> None:
    if not (math.isfinite(threshold) and 0 < threshold <= 1):
        raise ConfigError(f"setting 'threshold' of model '{name}' must be in (0, 1], got {threshold}")
