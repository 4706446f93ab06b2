"""Expectation over transformation: attack the mean over draws of a model that draws at random.

Such a model must say where its randomness comes from. One of two ways will do:

- a method `one_draw(images, *, seed)`, the logits of one draw: a function of each image and of the seed, not
  of the image's place in the batch (every image of a batch may see the same random numbers);
- else torch's global generator, as dropout layers do. It is seeded for each draw and left as it was. An
  image's numbers then depend on its place in the batch.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, cast, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from typing_extensions import override

from sleepdefense.attacks.noise import derive_seed
from sleepdefense.errors import ConfigError
from sleepdefense.shapes import Images, Logits


@runtime_checkable
class DrawsOnce(Protocol):
    """A model whose randomness is an argument."""

    def one_draw(self, images: Images, *, seed: int) -> Logits:
        """Return the logits of one draw, (batch, class): a function of each image and of the seed alone."""
        ...


class EOT(nn.Module):
    """A random model as an attack should see it: by several draws at once.

    The draws are numbered, and draw i is the same at every step of an attack and for every image: the
    attack follows one smooth function, results do not depend on batches, and nothing is remembered between
    calls. They are not the draws of the model itself, which stays the judge. Losses are averaged over
    `logit_draws` (`attack_loss`, and the losses of DDN and of Carlini and Wagner). Attacks whose loss is a
    difference of two logits (FMN, DeepFool, Brendel-Bethge) follow the mean of the logits, whose gradient is
    the mean of the gradients. Searches look for an image that fools nearly all draws (`draws.py`).

    Args:
        model: The random model.
        draws: How many, >= 1. Athalye et al. take 10 to 30.
        seed: Where the draws come from.

    Raises:
        ConfigError: `draws` is below 1.

    Source:
        Athalye et al. 2018, "Synthesizing robust adversarial examples".
    """

    def __init__(self, model: nn.Module, draws: int = 16, *, seed: int = 0) -> None:
        if draws < 1:
            raise ConfigError(f"'draws' must be >= 1, got {draws}")
        super().__init__()
        self.model = model
        self.draws = draws
        self.seed = seed

    def logit_draws(self, images: Images) -> Float[Tensor, "draw batch class"]:
        """Return the logits of every draw, (draw, batch, class)."""
        seeds = [derive_seed(self.seed, f"draw {number}") for number in range(self.draws)]
        return torch.stack([one_draw(self.model, images, seed=seed) for seed in seeds])

    @override
    def forward(self, images: Images) -> Logits:
        """Return the mean logits over the draws, (batch, class)."""
        return self.logit_draws(images).mean(0)

    @override
    def extra_repr(self) -> str:
        """Return number and origin of the draws."""
        return f"draws={self.draws}, seed={self.seed}"


def one_draw(model: nn.Module, images: Images, *, seed: int) -> Logits:
    """Return the logits of one draw of a random model, by its own `one_draw` or torch's global generator.

    Args:
        model: The model.
        images: (batch, channel, height, width).
        seed: Where the draw comes from, in [0, 2**63).

    Returns:
        (batch, class).
    """
    if isinstance(model, DrawsOnce):
        return model.one_draw(images, seed=seed)
    with _globally_seeded(seed, images.device):
        return cast(Tensor, model(images))


@contextmanager
def _globally_seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's global generator, and put its state back afterwards."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            torch.cuda.manual_seed(seed)
        yield
