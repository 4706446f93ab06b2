"""Count what the checks ask of a model."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn
from typing_extensions import override

from sleepdefense.attacks.any_of import AnyOf
from sleepdefense.evaluation.systems import Model
from sleepdefense.shapes import Images, Logits


@dataclass(slots=True)
class Meter:
    """Images shown to a model and images whose gradient was taken, so far."""

    forward: int = 0
    backward: int = 0

    @property
    def reading(self) -> tuple[int, int]:
        """Both counts."""
        return self.forward, self.backward


class Metered(nn.Module):
    """A model that behaves as it did, and is counted.

    Args:
        model: Gives logits. Its method `logit_draws`, if it has one, is passed on.
        meter: Filled by every pass.
        listener: Told the logits of every pass, (batch, class) or (draw, batch, class).
    """

    def __init__(self, model: Model, meter: Meter, listener: Callable[[Tensor], None] | None = None) -> None:
        super().__init__()
        self.model = model
        self._meter, self._listener = meter, listener
        self._draws: Callable[[Tensor], Tensor] | None = getattr(model, "logit_draws", None)
        if self._draws is not None:
            self.logit_draws = self._logit_draws
        self.train(isinstance(model, nn.Module) and model.training)

    @override
    def forward(self, images: Images) -> Logits:
        """Return the model's logits, (batch, class)."""
        return self._counted(self.model(images), len(images))

    def _logit_draws(self, images: Tensor) -> Tensor:
        """Return the model's logits of several draws, (draw, batch, class)."""
        assert self._draws is not None
        logits = self._draws(images)
        return self._counted(logits, len(logits) * len(images))

    def _counted(self, logits: Tensor, num_images: int) -> Tensor:
        self._meter.forward += num_images
        if self._listener is not None:
            self._listener(logits.detach())
        if isinstance(logits, Tensor) and logits.requires_grad and not logits.is_leaf:
            logits.register_hook(lambda _gradient: self._count_backward(num_images))
        return logits

    def _count_backward(self, num_images: int) -> None:
        self._meter.backward += num_images


def metered(model: Model, meter: Meter, listener: Callable[[Tensor], None] | None = None) -> nn.Module:
    """Return a model that is counted; of a surface that stands for several, each of them and the judge.

    Args:
        model: Gives logits. One that is counted already comes back as it is.
        meter: Filled by every pass.
        listener: Told the logits of every pass, but for a surface that stands for several.
    """
    if isinstance(model, AnyOf):
        pairs = zip(model.names, model.members, strict=True)
        members = {name: metered(member, meter) for name, member in pairs}
        return AnyOf(members, judge=metered(model.judge, meter), refine=model.refine)
    return model if isinstance(model, Metered) else Metered(model, meter, listener)
