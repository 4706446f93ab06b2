"""Find the latent whose image comes nearest to a given one: by gradient descent from several starts.

All images and all starts go through the generator as one batch. The gradient with respect to the image, which
an attack through the search asks for, is that of the winner's whole descent, taken backwards step by step: it
needs the memory of one step and of the winner's latents, not of an unrolled graph.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor
from typing_extensions import override

from sleepdefense.errors import ConfigError
from sleepdefense.shapes import Images

Generate = Callable[[Tensor], Tensor]
"""From latents (row, unit) to images (row, channel, height, width), each row for itself."""

Slope = Callable[[Tensor, Tensor], Tensor]
"""From latents (row, unit) and images (row, ...) to d/dz of each row's error, (row, unit)."""

ROWS_AT_ONCE = 320
"""Images times starts in one pass: enough to fill the processor, few enough for its caches."""

QUICK_ROWS_AT_ONCE = 100
"""The same where a slope of its own is given, whose sums take more memory than the maps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentSearch:
    """How to search.

    Attributes:
        steps: Of gradient descent, L in the papers, >= 1.
        restarts: Starts for each image, R in the papers, >= 1.
        learning_rate: > 0.
        momentum: In [0, 1).
        halvings: How often the worse half of an image's starts is given up, at equal distances, >= 0. 0:
            every start goes all the way, as in the papers.

    Raises:
        ConfigError: A setting is out of range.
    """

    steps: int = 200
    restarts: int = 10
    learning_rate: float = 10.0
    momentum: float = 0.7
    halvings: int = 0

    def __post_init__(self) -> None:
        for name, least in (("steps", 1), ("restarts", 1), ("halvings", 0)):
            if getattr(self, name) < least:
                raise ConfigError(f"search.{name} must be >= {least}, got {getattr(self, name)}")
        if not self.learning_rate > 0 or not 0 <= self.momentum < 1:
            raise ConfigError(
                "search.learning_rate must be > 0 and search.momentum in [0, 1), "
                f"got {self.learning_rate} and {self.momentum}"
            )
        if self.halvings >= self.steps:
            raise ConfigError(f"search.halvings must be < the {self.steps} steps, got {self.halvings}")

    @property
    def parts(self) -> tuple[tuple[int, int], ...]:
        """How many steps are taken with how many starts, one after the other.

        >>> LatentSearch(steps=200, restarts=10, halvings=3).parts
        ((50, 10), (50, 5), (50, 3), (50, 2))
        """
        found, left, starts = [], self.steps, self.restarts
        for number in range(self.halvings + 1):
            length = left // (self.halvings + 1 - number)
            found.append((length, starts))
            left, starts = left - length, -(-starts // 2)
        return tuple(found)


def search_latent(
    generate: Generate,
    image: Images,
    starts: Float[Tensor, "restart unit"],
    search: LatentSearch,
    *,
    slope: Slope | None = None,
) -> Float[Tensor, "batch unit"]:
    """Return, for each image, the latent that the best of its descents ends in.

        v <- momentum v + d/dz mean over pixels of (G(z) - x)^2,    z <- z - learning_rate v

    from each of the starts with v = 0; the best has the smallest error behind its last step.

    Args:
        generate: G, differentiable; its weights are constants here.
        image: x, (batch, channel, height, width), in [0, 1].
        starts: Where every image begins, (restart, unit): as many as `search` says.
        search: How.
        slope: A quicker way to d/dz of the error than autograd through `generate`; None: there is none.

    Returns:
        (batch, unit), a differentiable function of the images (once; not of the weights of G).

    Source:
        Samangouei et al. 2018, "Defense-GAN", section 4, with the momentum of its code.
    """
    quick = partial(_slope, generate) if slope is None else slope
    rows = ROWS_AT_ONCE if slope is None else QUICK_ROWS_AT_ONCE
    found: Tensor = cast(Any, _Search).apply(image, generate, starts, search, quick, rows)
    return found


class _Search(torch.autograd.Function):
    """The search, and its derivative by the image."""

    @override
    @staticmethod
    def forward(
        ctx: Any,
        image: Images,
        generate: Generate,
        starts: Tensor,
        search: LatentSearch,
        slope: Slope,
        rows: int,
    ) -> Float[Tensor, "batch unit"]:
        size = max(1, rows // search.restarts)
        parts = [_descend(generate, slope, part, starts, search) for part in image.detach().split(size)]
        latent = torch.cat([part[0] for part in parts])
        winner = torch.cat([part[1] for part in parts])
        ctx.save_for_backward(image, starts[winner])
        ctx.generate, ctx.search, ctx.slope, ctx.rows = generate, search, slope, rows
        return latent

    @override
    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        image, begin = ctx.saved_tensors
        chunks = (tensor.split(ctx.rows) for tensor in (image, begin, grad))
        found = [
            _ascend(ctx.generate, ctx.slope, part, begin, grad, ctx.search)
            for part, begin, grad in zip(*chunks, strict=True)
        ]
        return torch.cat(found), None, None, None, None, None


def _descend(
    generate: Generate, slope: Slope, image: Images, starts: Tensor, search: LatentSearch
) -> tuple[Float[Tensor, "batch unit"], Int[Tensor, " batch"]]:
    """Search from all starts; return the best latent of each image, and which start it came from."""
    count = len(image)
    latent = starts.repeat(count, 1)  # the starts of an image lie together
    speed = torch.zeros_like(latent)
    start = torch.arange(len(starts), device=image.device).repeat(count)
    target = image.repeat_interleave(len(starts), dim=0)
    for number, (steps, width) in enumerate(search.parts):
        if number > 0:
            order = _errors(generate, latent, target).view(count, -1).argsort(dim=1, stable=True)
            first = torch.arange(count, device=image.device)[:, None] * order.shape[1]
            kept = (first + order[:, :width].sort(dim=1).values).flatten()
            latent, speed, target, start = latent[kept], speed[kept], target[kept], start[kept]
        for _ in range(steps):
            speed = search.momentum * speed + slope(latent, target)
            latent = latent - search.learning_rate * speed
    best = _errors(generate, latent, target).view(count, -1).argmin(dim=1)
    rows = torch.arange(count, device=image.device) * (len(latent) // count) + best
    return latent[rows], start[rows]


def _ascend(
    generate: Generate, slope: Slope, image: Images, begin: Tensor, grad: Tensor, search: LatentSearch
) -> Images:
    """Return the gradient by the image, given that by the latent at the end of a descent from `begin`.

    With a the gradient by z and b that by v, from the last step to the first:

        b <- b - learning_rate a,    a <- a + b dg/dz,    result <- result + b dg/dx,    b <- momentum b

    where g(z, x) is the slope of the error.
    """
    path, speed = [begin], torch.zeros_like(begin)
    for _ in range(search.steps - 1):
        speed = search.momentum * speed + slope(path[-1], image)
        path.append(path[-1] - search.learning_rate * speed)
    by_latent, by_speed, by_image = grad, torch.zeros_like(begin), torch.zeros_like(image)
    for latent in reversed(path):
        by_speed = by_speed - search.learning_rate * by_latent
        with torch.enable_grad():
            z, x = latent.detach().requires_grad_(True), image.detach().requires_grad_(True)
            (by_z,) = torch.autograd.grad(_error(generate, z, x).sum(), z, create_graph=True)
            more_z, more_x = torch.autograd.grad(by_z, (z, x), by_speed)
        by_latent, by_image = by_latent + more_z, by_image + more_x
        by_speed = search.momentum * by_speed
    return by_image


def _slope(generate: Generate, latent: Tensor, target: Images) -> Tensor:
    """Return the gradient of each row's error by its latent."""
    with torch.enable_grad():
        leaf = latent.detach().requires_grad_(True)
        (slope,) = torch.autograd.grad(_error(generate, leaf, target).sum(), leaf)
    return slope


@torch.no_grad()
def _errors(generate: Generate, latent: Tensor, target: Images) -> Float[Tensor, " row"]:
    """Return the error of each row."""
    return _error(generate, latent, target)


def _error(generate: Generate, latent: Tensor, target: Images) -> Float[Tensor, " row"]:
    return (generate(latent) - target).square().flatten(1).mean(dim=1)
