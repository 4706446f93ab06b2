"""What stands in for denoised internal models when they are attacked."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from typing_extensions import override

from sleepdefense.errors import ConfigError
from sleepdefense.models.binarised import binarise
from sleepdefense.shapes import Images, Logits

if TYPE_CHECKING:
    from sleepdefense.models.dim import DIM

SHARPNESS = 20.0
"""Relative intensities, which differ by less than 1, become logits that differ by about as much as usual."""


class Unnormalised(nn.Module):
    """DIM with the intensities ||F_i(D(x))||_1 themselves as logits, a hundred apart or so, or larger ones.

    The classes are those of DIM. But a softmax of such logits is 1 and 0 to the last bit of a float for most
    images, and then the cross-entropy has no gradient: whoever attacks this network by it finds little, and
    has learned nothing of DIM. It is here for that experiment.

    Args:
        model: Where the intensities come from; the weights are shared.
        factor: What they are multiplied by, > 0.

    Raises:
        ConfigError: `factor` is not positive and finite.
    """

    def __init__(self, model: "DIM", factor: float = 1.0) -> None:
        super().__init__()
        if not 0 < factor < float("inf"):
            raise ConfigError(f"'factor' of the intensities must be a positive number, got {factor}")
        self.model = model
        self.factor = factor

    @override
    def forward(self, image: Images) -> Logits:
        """Return the intensities, (batch, class)."""
        answers, _ = self.model.answers(image)
        return self.factor * torch.tanh(answers).abs().sum(2).transpose(0, 1)

    @override
    def extra_repr(self) -> str:
        """Return the factor."""
        return f"factor={self.factor:g}"


class IntensityProxy(nn.Module):
    """Denoised internal models, differentiable and with logits of a usual size.

    Args:
        model: What it stands for; the weights are shared.
        alpha: Slope of the sigmoid that stands for a threshold; None: no sigmoid.
        straight_through: Keep the threshold, and take the identity's gradient for its own.
        squashed: Keep the tanh of the answers.
    """

    def __init__(
        self,
        model: "DIM",
        *,
        alpha: float | None = None,
        straight_through: bool = False,
        squashed: bool = True,
    ) -> None:
        super().__init__()
        self.model = model
        self.alpha = alpha
        self.straight_through = straight_through
        self.squashed = squashed

    @override
    def forward(self, image: Images) -> Logits:
        """Return the logits, (batch, class)."""
        from sleepdefense.models.dim import relative_intensities

        answers, shown = self.model.answers(image, self._step)
        if self.squashed:
            answers = torch.tanh(answers)
        return SHARPNESS * relative_intensities(answers, shown)

    def _step(self, value: Tensor) -> Tensor:
        threshold = self.model.config.threshold
        if self.straight_through:
            return binarise(value, threshold) + (value - value.detach())  # adds 0, exactly
        return value if self.alpha is None else torch.sigmoid(self.alpha * (value - threshold))

    @override
    def extra_repr(self) -> str:
        """Return the settings."""
        return f"alpha={self.alpha}, straight_through={self.straight_through}, squashed={self.squashed}"
