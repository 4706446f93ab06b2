"""Defense-GAN: an image is replaced by the nearest one that a generator of clean images can make."""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any, ClassVar, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from typing_extensions import override

from sleepdefense.errors import ConfigError
from sleepdefense.models.base import AbstractPurifier
from sleepdefense.models.latent_search import LatentSearch, Slope, search_latent
from sleepdefense.models.settings import check_counts, check_size
from sleepdefense.shapes import Images, Labels

_SMALLEST = 8
_KERNEL = 5
_LONG_SEARCH = 200
"""Passes forward and backward, from which on it pays to turn the kernels into products first."""


class DefenseGAN(AbstractPurifier):
    """A Wasserstein GAN of clean images, and the search for the latent whose image comes nearest.

    Generator: a linear map from the latent to maps of at most 4x4 pixels, then transposed convolutions of 5x5
    and stride 2, each but the last with half as many maps and a ReLU, the last with a sigmoid; 4, 7, 14 and
    28 pixels. Critic: the mirror image, convolutions of 5x5 and stride 2 with leaky ReLUs, then one linear
    map. No batch norm. It is trained on clean images only and knows no attack.

    Args:
        width: Maps before the last transposed convolution; before that twice as many, and so on.
        channels: Channels of the image.
        size: Height and width of the image in pixels, >= 8.
        latent: Units of the latent.
        steps: Steps of each search, "L".
        restarts: Starts of each search, "R". All images have the same, so that the result depends on the
            image alone.
        rate: Of the gradient descent of a search.
        momentum: Of the same, in [0, 1).
        halvings: How often the worse half of the starts is given up; 0: never, as in the paper.
        start_seed: Of the starts, each from N(0, 1 / latent) in every unit.
        critic_steps: Batches for the critic alone before one for both.
        penalty: Weight of the gradient penalty.

    Raises:
        ConfigError: A setting is out of range, or the image too small.

    Source:
        Samangouei et al. 2018 and its code, numbers as in docs/decisions.md; the loss of Gulrajani et al.
        2017.
    """

    name: ClassVar[str] = "defense-gan"
    adam_betas: ClassVar[tuple[float, float]] = (0.5, 0.9)
    learns_from_attacks: ClassVar[bool] = False
    turn: Tensor

    def __init__(
        self,
        *,
        width: int = 64,
        channels: int = 1,
        size: int = 28,
        latent: int = 128,
        steps: int = 200,
        restarts: int = 10,
        rate: float = 10.0,
        momentum: float = 0.7,
        halvings: int = 0,
        start_seed: int = 0,
        critic_steps: int = 5,
        penalty: float = 10.0,
    ) -> None:
        check_counts(self.name, width=width, channels=channels, latent=latent, critic_steps=critic_steps)
        check_size(self.name, size, smallest=_SMALLEST)
        if not (math.isfinite(penalty) and penalty >= 0):
            raise ConfigError(f"setting 'penalty' of model '{self.name}' must be >= 0, got {penalty}")
        search = LatentSearch(
            steps=steps, restarts=restarts, learning_rate=rate, momentum=momentum, halvings=halvings
        )
        super().__init__(
            {
                "width": width,
                "channels": channels,
                "size": size,
                "latent": latent,
                "steps": steps,
                "restarts": restarts,
                "rate": rate,
                "momentum": momentum,
                "halvings": halvings,
                "start_seed": start_seed,
                "critic_steps": critic_steps,
                "penalty": penalty,
            }
        )
        self.search = search
        sizes = [size]
        while sizes[-1] > 4:
            sizes.append(-(-sizes[-1] // 2))
        maps = [channels, *(width * 2**number for number in range(len(sizes) - 1))]
        units = maps[-1] * sizes[-1] ** 2
        growing: list[nn.Module] = []
        shrinking: list[nn.Module] = []
        for number, (few, many) in enumerate(pairwise(maps)):
            large, small = sizes[number], sizes[number + 1]
            after: nn.Module = nn.Sigmoid() if number == 0 else nn.ReLU()
            up = nn.ConvTranspose2d(many, few, _KERNEL, 2, padding=2, output_padding=large - 2 * small + 1)
            growing = [up, after, *growing]
            total = 2 * (small - 1) + _KERNEL - large
            near = total // 2
            shrinking += [
                nn.ZeroPad2d((near, total - near, near, total - near)),
                nn.Conv2d(few, many, _KERNEL, 2),
                nn.LeakyReLU(0.2),
            ]
        self.generator = nn.Sequential(
            nn.Linear(latent, units), nn.ReLU(), nn.Unflatten(1, (maps[-1], sizes[-1], sizes[-1])), *growing
        )
        self.critic = nn.Sequential(*shrinking, nn.Flatten(), nn.Linear(units, 1))
        self.register_buffer("turn", torch.zeros((), dtype=torch.int64))
        self.apply(_initialise_)
        for weight in self.parameters():
            if weight.ndim == 4:  # a tenth to a quarter faster on a CPU
                weight.data = weight.data.contiguous(memory_format=torch.channels_last)

    @override
    def forward(self, image: Images) -> Images:
        """Return the nearest images that the generator makes, (batch, channel, height, width), in [0, 1].

        Differentiable by the image, once: the gradient goes through every step of the winning search.
        """
        return self.generate(self.latent_of(image))

    def generate(self, latent: Float[Tensor, "batch unit"]) -> Images:
        """Return the generator's images, (batch, channel, height, width), in [0, 1]."""
        image: Tensor = self.generator(latent)
        return image

    def latent_of(self, image: Images) -> Float[Tensor, "batch unit"]:
        """Return the latents whose images come nearest, (batch, unit)."""
        seed, units = int(self.settings["start_seed"]), int(self.settings["latent"])
        draw = torch.Generator().manual_seed(seed)
        starts = torch.randn(self.search.restarts, units, generator=draw) / math.sqrt(units)
        return search_latent(self.generate, image, starts.to(image), self.search, slope=self._slope(image))

    def _slope(self, image: Images) -> Slope | None:
        """Return a quick slope where there is one and a search of one image is long enough to prepare it."""
        tensors = (image, *self.generator.parameters())
        is_plain = all(each.dtype == torch.float32 and each.device.type == "cpu" for each in tensors)
        if not is_plain or self.search.steps * self.search.restarts < _LONG_SEARCH:
            return None
        from sleepdefense.models.quick_slope import QuickSlope  # it compiles kernels

        return QuickSlope(self.generator)

    @override
    def outputs(self, image: Images) -> dict[str, Tensor]:
        """Return "image" as in `forward`, and "mean", the latent that was found; a GAN has no variance."""
        latent = self.latent_of(image)
        return {"image": self.generate(latent), "mean": latent}

    @override
    def elbo(self, outputs: dict[str, Tensor], clean: Images) -> Float[Tensor, " batch"]:
        """Refuse: a GAN has no likelihood and no bound of one."""
        raise ConfigError(f"model '{self.name}' has no evidence bound: take a variational autoencoder")

    @override
    def loss(
        self, noisy: Images, clean: Images, label: Labels, *, generator: torch.Generator
    ) -> Float[Tensor, ""]:
        """Return the critic's loss; every few batches, the generator ascends on it.

            mean of D(G(z)) - mean of D(x) + penalty * mean of (|dD / d mix| - 1)^2,

        with mix = e x + (1 - e) G(z).

        The length is taken over all pixels of an image. After `critic_steps` batches for the critic alone,
        one is for both: there the gradient changes its sign between critic and generator, so that the one
            loss is
        the generator's too. Which batch it is, is counted in `turn` and saved with the weights.

        Args:
            noisy: Plays no part.
            clean: What the generator learns to make, (batch, channel, height, width).
            label: Plays no part.
            generator: Draws latents z ~ N(0, 1) and the mixtures e.
        """
        every = int(self.settings["critic_steps"]) + 1
        is_for_both = int(self.turn) % every == every - 1
        if self.training:
            self.turn += 1
        units = int(self.settings["latent"])
        latent = _drawn(torch.randn, (len(clean), units), generator, clean)
        with torch.set_grad_enabled(is_for_both and torch.is_grad_enabled()):
            made = self.generate(latent)
        mixture = _drawn(torch.rand, (len(clean), 1, 1, 1), generator, clean)
        mixed = (mixture * clean + (1 - mixture) * made.detach()).requires_grad_(True)
        with torch.enable_grad():
            (slope,) = torch.autograd.grad(self.critic(mixed).sum(), mixed, create_graph=True)
        length = (slope.square().flatten(1).sum(dim=1) + 1e-12).sqrt()
        apart: Tensor = self.critic(cast(Any, _Reversed).apply(made)).mean() - self.critic(clean).mean()
        return apart + self.settings["penalty"] * (length - 1).square().mean()

    @override
    def extra_repr(self) -> str:
        """Return how a search goes, without which two equal generators could not be told apart."""
        return f"{self.search}, start_seed={self.settings['start_seed']}"


class _Reversed(torch.autograd.Function):
    """The identity, with the gradient's sign turned round."""

    @override
    @staticmethod
    def forward(ctx: object, image: Tensor) -> Tensor:
        return image.view_as(image)

    @override
    @staticmethod
    def backward(ctx: object, grad: Tensor) -> Tensor:
        return -grad


def _drawn(
    draw: Callable[..., Tensor], shape: tuple[int, ...], generator: torch.Generator, like: Tensor
) -> Tensor:
    """Draw with a generator, which may live on another device than what the result is for."""
    return draw(shape, generator=generator, device=generator.device).to(like.device)


def with_search(model: DefenseGAN, **changes: float) -> DefenseGAN:
    """Return the same network with other settings of its search.

    Args:
        model: It stays as it is.
        changes: Some of `steps`, `restarts`, `rate`, `momentum`, `halvings` and `start_seed`.

    Raises:
        ConfigError: A setting is none of these, or out of range.
    """
    known = ("steps", "restarts", "rate", "momentum", "halvings", "start_seed")
    for key in changes:
        if key not in known:
            raise ConfigError(f"a search has no setting '{key}': expected {', '.join(known)}")
    settings: dict[str, float] = {**model.settings, **changes}
    changed = DefenseGAN(**settings)  # type: ignore[arg-type]
    changed.load_state_dict(model.state_dict())
    return changed.train(model.training)


@torch.no_grad()
def _initialise_(module: nn.Module) -> None:
    """Draw weights from N(0, 2 / inputs of a unit), biases 0."""
    if not isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
        return
    inputs = module.weight[0].numel()
    if isinstance(module, nn.ConvTranspose2d):  # at stride 2 a pixel sees a quarter of the kernel
        inputs = module.weight.shape[0] * _KERNEL**2 // 4
    nn.init.normal_(module.weight, 0.0, math.sqrt(2.0 / inputs))
    if module.bias is not None:
        nn.init.zeros_(module.bias)
