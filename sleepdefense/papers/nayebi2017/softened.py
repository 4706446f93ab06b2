"""A saturated network as an attacker who knows it sees it: in float64, its sharp edges rounded off."""

import copy
from typing import Any, cast

import torch
from torch import Tensor, nn
from typing_extensions import override

from sleepdefense.attacks.gradient import evaluation_mode
from sleepdefense.models.layer_activity import layer_activity
from sleepdefense.shapes import Images, Logits

_SOFT_DRIVE = 2.0
"""Median drive of the softened sigmoid units: sigmoid'(2) is 0.1."""
_SOFT_MARGIN = 5.0
"""Median lead of the best class over the second in the rescaled logits."""


class _UnitGradient(torch.autograd.Function):
    """Pass images on in float64, and scale their gradient so that its largest entry is 1, image by image."""

    @staticmethod
    def forward(ctx: Any, images: Tensor) -> Tensor:
        return images.double()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (gradient,) = gradients
        largest = gradient.abs().flatten(1).amax(1).reshape(-1, *[1] * (gradient.ndim - 1))
        # in float32 a gradient of 1e-60 would be zero before anyone could take its sign
        return torch.where(largest > 0, gradient / largest, gradient).float()


class Softened(nn.Module):
    """A network that takes the same images for the same classes, nearly, and has gradients to follow.

    The drives of hidden sigmoid units are divided by a number for each layer, and the logits by one more. It
    computes in float64 and gives gradients back at a length that float32 can hold. ReLU units are as sharp at
    any scale; there only the precision and the logits differ.

    Args:
        model: A network of linear maps and convolutions; it is copied.
        images: Images to find the scales on.

    Source:
        The attack of Brendel and Bethge 2017 on these networks: stabilise the gradient, then attack.
    """

    def __init__(self, model: nn.Module, images: Images) -> None:
        super().__init__()
        self.soft = copy.deepcopy(model).double().eval()
        maps = dict(self.soft.named_modules())
        with torch.no_grad(), evaluation_mode(self.soft):
            layers = layer_activity(self.soft, images.double())
            for layer in layers[:-1]:
                if layer.unit != "sigmoid":
                    continue
                factor = _SOFT_DRIVE / max(_SOFT_DRIVE, float(layer.drive.abs().median()))
                each = maps[layer.name]
                for part in (each.weight, each.bias):
                    cast(Tensor, part).mul_(factor)
            best = layers[-1].drive.topk(2, dim=1).values
            margin = float((best[:, 0] - best[:, 1]).median())
        self.scale = _SOFT_MARGIN / max(_SOFT_MARGIN, margin)

    @override
    def forward(self, image: Images) -> Logits:
        """Return the logits, (batch, class), float32."""
        exact = cast(Any, _UnitGradient).apply(image)
        logits: Tensor = self.soft(exact)
        return (self.scale * logits).float()


class Seen(nn.Module):
    """A network, attacked through its softened copy and through its vanilla twin.

    Args:
        model: What is judged.
        soft: Its softened copy.
        twin: The network of the same kind that was trained without protection; None for that one itself.
    """

    def __init__(self, model: nn.Module, soft: nn.Module, twin: nn.Module | None) -> None:
        super().__init__()
        self.model = model
        self.soft = soft
        self.twin = twin

    @override
    def forward(self, image: Images) -> Logits:
        """Return the logits of the network itself, (batch, class)."""
        logits: Tensor = self.model(image)
        return logits

    def attack_surfaces(self) -> dict[str, nn.Module]:
        """Return what gradients are taken through."""
        surfaces: dict[str, nn.Module] = {"adaptive": self.soft}
        if self.twin is not None:
            surfaces["black-box-substitute"] = self.twin
        return surfaces


def zero_gradient_share(model: nn.Module, images: Images, labels: Tensor) -> tuple[float, int]:
    """Return the share of the correct images whose cross-entropy has no gradient, and the number of these.

    Args:
        model: Gives logits, in the type of `images`.
        images: (batch, channel, height, width).
        labels: (batch,).
    """
    zero = right = 0
    with evaluation_mode(model), torch.enable_grad():
        for part, label in zip(images.split(500), labels.split(500), strict=True):
            leaf = part.detach().requires_grad_(True)
            logits = model(leaf)
            loss = nn.functional.cross_entropy(logits, label, reduction="sum")
            (gradient,) = torch.autograd.grad(loss, leaf)
            correct = logits.detach().argmax(1) == label
            zero += int(((gradient == 0).flatten(1).all(1) & correct).sum())
            right += int(correct.sum())
    return zero / max(right, 1), right
