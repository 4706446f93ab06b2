"""Attacks without access: train a network on what a target says, attack that one, and transfer.

The target is asked for labels only. A defence that hides its gradient does not hide from this.
"""

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from typing_extensions import override

from sleepdefense.attacks.any_of import AnyOf
from sleepdefense.attacks.gradient import evaluation_mode
from sleepdefense.attacks.noise import derive_seed
from sleepdefense.errors import ConfigError
from sleepdefense.evaluation.surfaces import find_surfaces
from sleepdefense.evaluation.systems import Model, device_of, logits_of
from sleepdefense.shapes import Images, Labels, Logits

SUBSTITUTE = "black-box-substitute"
_ASKED_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class SubstituteConfig:
    """How to train a substitute.

    Attributes:
        rounds: Trainings; between two of them the images double. >= 1.
        step: Length of the step that makes a new image, in intensities, "lambda" in the papers; > 0.
        epochs: Passes over the images in each round, >= 1.
        batch_size: Images in a step of Adam, >= 1.
        learning_rate: Of Adam, > 0.
        seed: Of the order, and of dropout.

    Raises:
        ConfigError: A setting is out of range.

    Source:
        Papernot et al. 2017, "Practical black-box attacks against machine learning"; the numbers are those of
        Samangouei et al. 2018 (Defense-GAN), whose code begins with 150 hold-out images.
    """

    rounds: int = 6
    step: float = 0.1
    epochs: int = 10
    batch_size: int = 128
    learning_rate: float = 1e-3
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("rounds", "epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise ConfigError(f"substitute.{name} must be >= 1, got {getattr(self, name)}")
        for name in ("step", "learning_rate"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise ConfigError(f"substitute.{name} must be > 0, got {getattr(self, name)}")


def train_substitute(
    target: Model,
    images: Images,
    substitute: nn.Module,
    config: SubstituteConfig | None = None,
    *,
    progress: Callable[[int, int, str], None] | None = None,
) -> nn.Module:
    """Train a copy of a network to label images as a target does, on images that it asks for itself.

    After each round but the last, every image x with the target's label y gets a neighbour

        x' = clip(x + step * sgn(d F_y(x) / d x)),    F the substitute's logits,

    which the target labels. Of the target nothing but labels is seen: it may be a plain callable.

    Args:
        target: Gives logits, of which the largest counts.
        images: Where to begin, (batch, channel, height, width), in [0, 1]: not those to be attacked later.
            The papers take 150.
        substitute: Gives logits, differentiable. Copied, never changed; C1 and C4 in the papers.
        config: How to train; by default as in the papers.
        progress: Told after every epoch: epochs done, epochs in all, and how many images there are.

    Returns:
        The trained copy, in evaluation mode: a function of target, images, substitute and seed, on a CPU with
        the same number of threads. Torch's global generator is left as it was.

    Raises:
        ConfigError: There are no images.
        EvaluationError: The target gives no finite logits.
    """
    config = config or SubstituteConfig()
    if not len(images):
        raise ConfigError("a substitute needs images to begin with, got none: the papers take 150")
    trained = copy.deepcopy(substitute).requires_grad_(True)
    device = device_of(trained)
    optimizer = torch.optim.Adam(trained.parameters(), lr=config.learning_rate)
    seen = images.detach().to(device)
    labels = _labels(target, seen)
    for number in range(config.rounds):
        for epoch in range(config.epochs):
            seed = derive_seed(config.seed, f"substitute, round {number}, epoch {epoch}")
            _train_epoch_(trained, optimizer, seen, labels, config.batch_size, seed)
            if progress is not None:
                done = number * config.epochs + epoch + 1
                progress(done, config.rounds * config.epochs, f"substitute, {len(seen)} images")
        if number + 1 < config.rounds:
            fresh = _augmented(trained, seen, labels, config.step)
            seen, labels = torch.cat([seen, fresh]), torch.cat([labels, _labels(target, fresh)])
    return trained.eval()


class WithSubstitutes(nn.Module):
    """A system, and substitutes through which it can be attacked without access; see `with_substitutes`."""

    def __init__(self, system: nn.Module, substitutes: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.system = system
        self.names = tuple(substitutes)
        self.substitutes = nn.ModuleList(substitutes.values())

    @override
    def forward(self, image: Images) -> Logits:
        """Return the logits of the system, (batch, class)."""
        logits: Tensor = self.system(image)
        return logits

    def attack_surfaces(self) -> dict[str, Any]:
        """Return the surfaces of the system, and its substitutes."""
        members = dict(zip(self.names, self.substitutes, strict=True))
        alone = next(iter(members.values()))
        surface = alone if len(members) == 1 else AnyOf(members, judge=self.system)
        return {**find_surfaces(self.system), SUBSTITUTE: surface}

    @override
    def extra_repr(self) -> str:
        """Return the names of the substitutes."""
        return f"names={', '.join(self.names)}"


def with_substitutes(system: nn.Module, substitutes: Mapping[str, nn.Module]) -> WithSubstitutes:
    """Let a system also be attacked through other networks: substitutes, or a twin without the defence.

    Args:
        system: What is evaluated.
        substitutes: Networks that give logits, by name, one at least. Of several, every attack goes through
            all, and for each image the nearest success counts.

    Returns:
        A system with the same logits and one threat model more, "black-box-substitute".

    Raises:
        ConfigError: There is no substitute.
    """
    if not substitutes:
        raise ConfigError("'with_substitutes' needs a network to transfer attacks from, got none")
    return WithSubstitutes(system, substitutes)


def _labels(target: Model, images: Images) -> Labels:
    """Ask the target what it takes images for."""
    parts = [logits_of(target, part).argmax(1) for part in images.split(_ASKED_AT_ONCE)]
    return torch.cat(parts).to(images.device)


def _train_epoch_(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    images: Images,
    labels: Labels,
    batch_size: int,
    seed: int,
) -> None:
    """Show every image once, in an order of its own."""
    network.train()
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed)).to(images.device)
    with torch.random.fork_rng(devices=[images.device] if images.device.type == "cuda" else []):
        torch.manual_seed(seed)  # for dropout, which takes no generator
        # parts of equal size: a last batch of one image would leave batch norms without a variance
        for chosen in order.tensor_split(max(1, math.ceil(len(order) / batch_size))):
            loss = cross_entropy(network(images[chosen]), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def _augmented(network: nn.Module, images: Images, labels: Labels, step: float) -> Images:
    """Return for each image a neighbour in the direction in which the score of its label grows."""
    fresh = []
    with evaluation_mode(network):
        for part, label in zip(images.split(_ASKED_AT_ONCE), labels.split(_ASKED_AT_ONCE), strict=True):
            leaf = part.detach().requires_grad_(True)
            score = network(leaf).gather(1, label[:, None]).sum()
            (gradient,) = torch.autograd.grad(score, leaf)
            fresh.append((part + step * gradient.sign()).clamp(0.0, 1.0))
    return torch.cat(fresh)
