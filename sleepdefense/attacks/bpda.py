"""Backward pass differentiable approximation: the values of one module, the gradient of another."""

from typing import Literal

import torch
from torch import Tensor, nn
from typing_extensions import override

from sleepdefense.errors import ConfigError


class BPDA(nn.Module):
    """Compute f forwards, and differentiate g backwards.

        value = f(x),    d value / d x = d g(x) / d x

    f runs without a gradient, so it may be anything: quantise, search, draw at random. Never the only attack
    on a module that has a gradient of its own: on a purifier whose end-to-end gradient broke every image, the
    identity in its place found next to nothing.

    Args:
        forward_module: f.
        backward: g: a module from the same input to an output of the same shape, such as a soft threshold or
            a twin trained to imitate f; "identity" where f changes its input little.

    Raises:
        ConfigError: `backward` is a text other than "identity"; on the first image, if f and g give other
            shapes.

    Source:
        Athalye et al. 2018, "Obfuscated gradients give a false sense of security", section 4.1.

    >>> x = torch.tensor([0.2, 0.7], requires_grad=True)
    >>> class Round(nn.Module):
    ...     def forward(self, x):
    ...         return x.round()
    >>> y = BPDA(Round(), nn.Sigmoid())(x)
    >>> torch.autograd.grad(y.sum(), x)[0]
    tensor([0.2475, 0.2217])
    """

    def __init__(self, forward_module: nn.Module, backward: nn.Module | Literal["identity"]) -> None:
        super().__init__()
        if isinstance(backward, str) and backward != "identity":
            raise ConfigError(f"'backward' must be a module or 'identity', got '{backward}'")
        self.forward_module = forward_module
        self.backward_module = nn.Identity() if isinstance(backward, str) else backward

    @override
    def forward(self, x: Tensor) -> Tensor:
        """Return f(x), with the gradient of g."""
        with torch.no_grad():
            value: Tensor = self.forward_module(x)
        if not (torch.is_grad_enabled() and x.requires_grad):
            return value
        stand_in: Tensor = self.backward_module(x)
        if stand_in.shape != value.shape:
            raise ConfigError(
                f"the forward module gives the shape {tuple(value.shape)} and the backward one "
                f"{tuple(stand_in.shape)}: expected equal shapes. Take another module as 'backward'"
            )
        return value.detach() + (stand_in - stand_in.detach())  # adds 0, exactly
