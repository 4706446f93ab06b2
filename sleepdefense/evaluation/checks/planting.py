"""Put a weakness into a model: a second class that is known to win somewhere in the ball around an image."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn
from typing_extensions import override

from sleepdefense.attacks.gradient import evaluation_mode
from sleepdefense.evaluation.checks.black_box import random_points
from sleepdefense.evaluation.checks.subject import Subject
from sleepdefense.evaluation.systems import device_of
from sleepdefense.shapes import Images, Logits

INNER = 0.95
"""The other points stay within this fraction of the budget. Source: Zimmermann et al. 2022, gap of 0.05."""

CLOSENESS = 0.9
"""How near the planted point the border lies: 0 at the other points, 1 at the planted one. Zimmermann et al.
2022 move the border towards the planted point too, so that chance does not find what lies behind it."""

_SMALLEST_SHARE = 1e-3  # of the planted point's features that no other point explains, in length


class Features(nn.Module):
    """What reaches the last linear layer or convolution of a model that is wide enough.

    A read-out of few features cannot tell many points apart, so that a narrow last layer is passed over for
    the one before it. If none is wide enough, the widest is taken; without any, the logits.

    Args:
        model: Gives logits.
        images: A few, to find out in which order layers are called, and how wide they are.
        fewest: Features that are enough.
    """

    def __init__(self, model: nn.Module, images: Images, *, fewest: int) -> None:
        super().__init__()
        self.model = model
        widths: dict[nn.Module, int] = {}
        layers = [part for part in model.modules() if isinstance(part, (nn.Linear, nn.Conv2d))]
        hooks = [layer.register_forward_pre_hook(_width_into(widths)) for layer in layers]
        try:
            with torch.no_grad(), evaluation_mode(model):
                model(images.to(device_of(model)))
        finally:
            for hook in hooks:
                hook.remove()
        enough = [part for part, width in widths.items() if width >= fewest]
        chosen = enough[-1:] or sorted(widths, key=lambda part: widths[part])[-1:]
        self._chosen = tuple(chosen)  # a tuple hides the layer from torch's registry of parts

    @override
    def forward(self, images: Images) -> Float[Tensor, "batch unit"]:
        """Return the features, (batch, unit)."""
        return self.with_logits(images)[0]

    def with_logits(self, images: Images) -> tuple[Float[Tensor, "batch unit"], Logits]:
        """Return the features and the model's logits, (batch, unit) and (batch, class)."""
        seen: list[Tensor] = []
        hooks = [
            part.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0])) for part in self._chosen
        ]
        try:
            logits: Tensor = self.model(images)
        finally:
            for hook in hooks:
                hook.remove()
        return seen[-1].flatten(1) if seen else logits, logits


def _width_into(widths: dict[nn.Module, int]) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
    """Return a hook that writes down how many numbers an image is when it reaches a layer, latest last."""

    def look(part: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        widths.pop(part, None)
        widths[part] = inputs[0][0].numel()

    return look


class Planted(nn.Module):
    """A model of two classes: the planted one wins where the features lie beyond a plane.

        s(x) = w . (f(x) - f_0),    logits = (-scale s, scale s)

    Args:
        features: f, from images to (batch, unit).
        direction: w, (unit,).
        origin: f_0, (unit,), already moved to the border.
        scale: Makes the logits as large as the model's own.
    """

    def __init__(self, features: Features, direction: Tensor, origin: Tensor, scale: float) -> None:
        super().__init__()
        self.features = features
        self.direction, self.origin, self.scale = direction, origin, scale

    @override
    def forward(self, images: Images) -> Logits:
        """Return the two logits, (batch, 2)."""
        score = self.scale * ((self.features(images) - self.origin) @ self.direction)
        return torch.stack([-score, score], 1)


@dataclass(frozen=True, slots=True, eq=False)
class Plant:
    """A model with a weakness, and where that is.

    Attributes:
        model: Gives two logits; the image belongs to class 0.
        image: The planted adversarial image, (1, channel, height, width), at the budget's end.
    """

    model: Planted
    image: Images


def plant(subject: Subject, features: Features, row: int) -> Plant | None:
    """Train a linear read-out of a model's features to tell one point on the ball from points inside it.

    The read-out is the part of the planted point's features that no mixture of the other points explains:

        w = a - P a,    a = f(planted) - f_0,    f_0 = mean f(inner)

    where P projects on the span of all f(inner) - f_0. So w.(f - f_0) is 0 at all inner points and |w|^2 at
    the planted one; the border lies at 0.9 |w|^2.

    Args:
        subject: What is examined.
        features: Features of one of its surfaces.
        row: Which image.

    Returns:
        The model and its weakness, or None if the model does not tell the planted point from the others.

    Source:
        Zimmermann et al. 2022, "Increasing confidence in adversarial robustness evaluations": a binary
        read-out of the last features, trained on inner points and a boundary point, with logits as large as
        the model's own. There it is found by logistic regression.
    """
    points = _points(subject, row)
    with torch.no_grad(), evaluation_mode(features):
        device = device_of(features)
        pairs = [features.with_logits(part.to(device)) for part in points.split(subject.config.batch_size)]
        found = torch.cat([pair[0] for pair in pairs]).double().cpu().numpy()
        size = max(float(pair[1].max()) for pair in pairs) - min(float(pair[1].min()) for pair in pairs)
    inner = found[: min(len(found) - 1, found.shape[1] - 1)]  # more points than units leave nothing of a
    origin = inner.mean(0)
    planted = found[-1] - origin
    direction = _unexplained(planted, inner - origin)
    height = float(direction @ planted)
    if not height > (_SMALLEST_SHARE * float(np.linalg.norm(planted))) ** 2:
        return None
    border = origin + CLOSENESS * direction
    model = Planted(
        features,
        torch.from_numpy(direction / height).to(device, torch.float32),
        torch.from_numpy(border).to(device, torch.float32),
        scale=max(size, 1.0) / 2,
    )
    return Plant(model=model, image=points[-1:])


def _points(subject: Subject, row: int) -> Images:
    """Return an image, inner points around it, and the planted point last."""
    number = subject.config.num_inner_points
    image = subject.images[row : row + 1]
    around = random_points(subject, row, np.arange(number + 1))
    inner = image + INNER * (around[1:] - image)
    return torch.cat([image, inner, around[:1]])


def _unexplained(vector: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what is left of a vector after projecting it on the rows of a matrix."""
    _, sizes, basis = np.linalg.svd(others, full_matrices=False)
    rank = int((sizes > 1e-9 * max(1e-300, float(sizes.max(initial=0.0)))).sum())
    kept = basis[:rank]
    return vector - kept.T @ (kept @ vector)
