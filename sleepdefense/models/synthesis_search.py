"""The latent that explains an image best: the best of many, and a descent from there."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from sleepdefense.shapes import Images

_BETAS = (0.9, 0.999)
_EPSILON = 1e-8


@torch.no_grad()
def search(
    image: Images,
    starts: Float[Tensor, "sample unit"],
    imagined: Float[Tensor, "class sample pixel"],
    *,
    kl_weight: float,
) -> Float[Tensor, "batch class unit"]:
    """Return, for every image and class, the start whose image lies nearest, counting the prior.

    Args:
        image: (batch, channel, height, width).
        starts: The latents to choose from.
        imagined: What every class makes of them.
        kl_weight: Weight of ||z||^2 / 2 against the squared distance.
    """
    flat = image.flatten(1)
    fixed = imagined.square().sum(2) + 0.5 * kl_weight * starts.square().sum(1)
    # ||x - G||^2 without ||x||^2, which no choice depends on
    found = [(fixed[number] - 2 * flat @ imagined[number].T).argmin(1) for number in range(len(imagined))]
    return starts[torch.stack(found, 1)]


def descend(
    cost: Callable[[Tensor], Tensor],
    latent: Float[Tensor, "batch class unit"],
    *,
    num_steps: int,
    learning_rate: float,
    radius: float,
) -> Float[Tensor, "batch class unit"]:
    """Descend on every latent by itself, by Adam, and stay within a ball.

    Args:
        cost: From latents to the cost of each, (batch, class).
        latent: Where to begin.
        num_steps: Descents.
        learning_rate: Of Adam.
        radius: Of the ball around 0.

    Returns:
        Latents without a gradient.
    """
    mean, square = torch.zeros_like(latent), torch.zeros_like(latent)
    for step in range(1, num_steps + 1):
        with torch.enable_grad():
            moving = latent.detach().requires_grad_(True)
            (slope,) = torch.autograd.grad(cost(moving).sum(), moving)
        mean = _BETAS[0] * mean + (1 - _BETAS[0]) * slope
        square = _BETAS[1] * square + (1 - _BETAS[1]) * slope.square()
        unbiased = mean / (1 - _BETAS[0] ** step), square / (1 - _BETAS[1] ** step)
        latent = latent - learning_rate * unbiased[0] / (unbiased[1].sqrt() + _EPSILON)
        length = latent.norm(dim=2, keepdim=True).clamp_min(_EPSILON)
        latent = latent * (radius / length).clamp_max(1.0)
    return latent.detach()
