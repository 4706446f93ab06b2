"""Random feed-forward networks for Hypothesis: every supported layer, in orders nobody planned for."""

import torch
from hypothesis import strategies as st
from torch import Tensor, nn

SIZE = 8


class Residual(nn.Module):
    """relu(norm(conv(x)) + x), with the sum written in one of several ways."""

    def __init__(self, channels: int, style: str) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.style = style

    def forward(self, x: Tensor) -> Tensor:
        branch = self.norm(self.conv(x))
        if self.style == "torch.add":
            return torch.relu(torch.add(branch, x))
        if self.style == "+=":
            branch += x
            return branch.relu()
        return nn.functional.relu(x + branch)


class TwoHeads(nn.Module):
    """A trunk, two linear heads, and a decoder behind the first: the shape of an autoencoder."""

    def __init__(self, trunk: nn.Module, features: int, latent: int, out: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.mean = nn.Linear(features, latent)
        self.log_variance = nn.Linear(features, latent)
        self.decoder = nn.Sequential(nn.Linear(latent, 6), nn.ReLU(), nn.Linear(6, out), nn.Sigmoid())

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        features = self.trunk(x).flatten(1)
        mean = self.mean(features)
        return {"image": self.decoder(mean), "mean": mean, "log_variance": self.log_variance(features)}


@st.composite
def networks(draw, *, smooth: bool = True, normed: bool = True) -> nn.Module:
    """A convolutional network for (batch, 2, 8, 8). `smooth`: sigmoid and tanh units may occur."""
    units = [nn.ReLU, nn.ReLU, nn.Sigmoid, nn.Tanh] if smooth else [nn.ReLU]
    layers: list[nn.Module] = []
    with torch.random.fork_rng():
        torch.manual_seed(draw(st.integers(0, 2**16)))
        channels, size = 2, SIZE
        for _ in range(draw(st.integers(1, 3))):
            choices = ["conv", "deconv", "pool", "residual", "upsample", "dropout"]
            for kind in draw(st.lists(st.sampled_from(choices), min_size=1, max_size=2)):
                if kind == "conv":
                    stride, padding = draw(st.integers(1, 2)), draw(st.integers(int(size < 3), 2))
                    new = draw(st.integers(1, 4))
                    bias = draw(st.booleans())
                    layers.append(nn.Conv2d(channels, new, 3, stride=stride, padding=padding, bias=bias))
                    size = (size + 2 * padding - 3) // stride + 1
                    channels = new
                elif kind == "deconv" and size <= 8:
                    new = draw(st.integers(1, 4))
                    layers.append(nn.ConvTranspose2d(channels, new, 4, stride=2, padding=1))
                    size, channels = size * 2, new
                else:
                    if kind == "residual":
                        layers.append(Residual(channels, draw(st.sampled_from(["torch.add", "+=", "+"]))))
                    elif kind == "pool" and size >= 4:
                        pool = draw(st.sampled_from([nn.MaxPool2d, nn.AvgPool2d]))
                        layers.append(pool(draw(st.sampled_from([2, 3]))))
                        size = size // layers[-1].kernel_size
                    elif kind == "upsample" and size <= 6:
                        layers.append(nn.Upsample(scale_factor=2))
                        size *= 2
                    elif kind == "dropout":
                        layers.append(nn.Dropout2d(0.5))
                    continue
                if normed and draw(st.booleans()):
                    layers.append(nn.BatchNorm2d(channels))
                layers.append(draw(st.sampled_from(units))())
                if size < 3:
                    layers.append(nn.Upsample(scale_factor=3))
                    size *= 3
        layers.append(nn.Flatten())
        trunk, features = nn.Sequential(*layers), channels * size * size
        model: nn.Module
        if draw(st.booleans()):
            model = TwoHeads(trunk, features, 3, 5)
        else:
            model = nn.Sequential(trunk, nn.Linear(features, 7), nn.ReLU(), nn.Linear(7, 4))
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.running_mean, -0.5, 0.5)
                nn.init.uniform_(module.running_var, 0.2, 2.0)
                nn.init.uniform_(module.weight, -1.0, 1.0)
                nn.init.uniform_(module.bias, -0.5, 0.5)
    return model.eval()


def images(count: int, seed: int = 0) -> Tensor:
    """Random images in [0, 1] for these networks."""
    return torch.rand(count, 2, SIZE, SIZE, generator=torch.Generator().manual_seed(seed))
