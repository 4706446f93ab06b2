"""Small networks that can sleep, and images for them: (channel, 8, 8) pixels."""

from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from sleepdefense.conversion import to_spiking
from sleepdefense.spiking import SpikingNetwork

SIZE = 8


def make_images(num: int, *, channels: int = 1, seed: int = 0) -> Tensor:
    """Random light under a dark first row, so that some pixels never spike."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(num, channels, SIZE, SIZE, generator=generator)
    images[:, :, 0] = 0.0
    return (images * (torch.rand(num, 1, 1, 1, generator=generator) + 0.5)).clamp(0, 1)


def seeded(build: Any, *args: Any, seed: int = 0, **settings: Any) -> nn.Module:
    """Build a module whose weights depend on `seed` only."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build(*args, **settings).eval()


def seen(model: nn.Module) -> nn.Module:
    """Give the batch norms of a module the statistics of images, so that untrained weights are no silence."""
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        model.train()(make_images(48))
    for norm in norms:
        norm.momentum = 0.1
    return model.eval()


def spiking(model: nn.Module, *, channels: int = 1) -> SpikingNetwork:
    """Convert a module for images of this size."""
    return to_spiking(model, make_images(48, channels=channels))


class Residual(nn.Module):
    """Two branches that meet in one unit: no chain."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3, padding=1)
        self.second = nn.Conv2d(4, 4, 3, padding=1)
        self.last = nn.Linear(4 * SIZE * SIZE, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.first(x))
        x = torch.relu(self.second(x) + x)
        return self.last(x.flatten(1))


@st.composite
def chains(draw) -> tuple[nn.Module, int]:
    """A plain chain of convolutions and linear maps with ReLUs, and the channels of its images."""
    channels = before = draw(st.integers(1, 2))
    size = SIZE
    layers: list[nn.Module] = []
    with torch.random.fork_rng():
        torch.manual_seed(draw(st.integers(0, 2**16)))
        for _ in range(draw(st.integers(0, 2))):
            kernel, stride = draw(st.integers(1, 4)), draw(st.integers(1, 2))
            padding = draw(st.integers(0, 3))
            if padding >= kernel or size + 2 * padding < kernel:
                padding = 0
            if size < kernel:
                break
            features = draw(st.integers(1, 5))
            layers.append(
                nn.Conv2d(before, features, kernel, stride=stride, padding=padding, bias=draw(st.booleans()))
            )
            if draw(st.booleans()):
                layers.append(nn.BatchNorm2d(features))
            layers.append(nn.ReLU())
            size, before = (size + 2 * padding - kernel) // stride + 1, features
        layers.append(nn.Flatten())
        units = before * size * size
        for _ in range(draw(st.integers(0 if len(layers) > 1 else 1, 2))):
            hidden = draw(st.integers(2, 8))
            layers += [nn.Linear(units, hidden, bias=draw(st.booleans())), nn.ReLU()]
            units = hidden
        layers.append(nn.Linear(units, 3))
        return nn.Sequential(*layers).eval(), channels
