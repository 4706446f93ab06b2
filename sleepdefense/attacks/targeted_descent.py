"""Descend the loss of a target class from an image, until the model takes the image for that class.

The attacks of the paper on saturating networks: no budget, no distance in the loss, only a number of
iterations. First order (Adam) and second order (L-BFGS).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor
from torch.nn.functional import cross_entropy

from sleepdefense.attacks.gradient import evaluation_mode
from sleepdefense.attacks.losses import margin_loss
from sleepdefense.errors import ConfigError
from sleepdefense.shapes import Images, Labels, Logits

Model = Callable[[Images], Logits]


def _towards(logits: Logits, target: Labels) -> Float[Tensor, " batch"]:
    return cross_entropy(logits, target, reduction="none")


TARGET_LOSSES: dict[str, Callable[[Logits, Labels], Float[Tensor, " batch"]]] = {
    "ce": _towards,
    "margin": margin_loss,
}
"""What is driven down: the target class's cross-entropy, as printed, or the lead of the best other class.

The second does not go flat where the softmax is certain.
"""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Descent:
    """What a descent ended with.

    Attributes:
        images: The image as it was when it was first taken for the target, else the last one, shaped and
            typed like the source.
        found: Whether it was taken for the target, (batch,).
        iterations: Steps until then, or in all, (batch,).
        moved: Mean absolute change of a pixel, (batch,), in intensities.
        stuck: Whether it was not, and its gradient was zero everywhere at the start, (batch,).
    """

    images: Images
    found: Bool[Tensor, " batch"]
    iterations: Int[Tensor, " batch"]
    moved: Float[Tensor, " batch"]
    stuck: Bool[Tensor, " batch"]


def descend_adam(
    model: Model,
    images: Images,
    target: Labels,
    *,
    steps: int = 1000,
    learning_rate: float = 0.01,
    loss: str = "ce",
) -> Descent:
    """Let Adam change each image until it is taken for its target.

        x <- clip(x - alpha_t grad l(x, y_T))

    Adam works on each pixel by itself, so images do not affect each other; one that is found stays as it is.

    Args:
        model: Gives logits, differentiable, in the type of the images.
        images: Where to start, (batch, channel, height, width), in [0, 1].
        target: Class that each is to be taken for, (batch,).
        steps: At most, >= 1.
        learning_rate: Of Adam, in intensities, > 0.
        loss: A key of `TARGET_LOSSES`.

    Returns:
        The images, and which were found.

    Raises:
        ConfigError: A setting is out of range.

    Source:
        Nayebi and Ganguli 2017, section 7. The learning rate is not printed, nor that images stay in [0, 1].
    """
    _check(steps, loss)
    if not learning_rate > 0:
        raise ConfigError(f"'learning_rate' must be > 0, got {learning_rate}")
    change = images.detach().clone()
    found = torch.zeros(len(images), dtype=torch.bool, device=images.device)
    iterations = torch.full((len(images),), steps, device=images.device)
    stuck = found.clone()
    optimizer = torch.optim.Adam([change], lr=learning_rate)
    with evaluation_mode(model), torch.enable_grad():
        for step in range(steps + 1):
            leaf = change.detach().requires_grad_(True)
            logits = model(leaf)
            new = (logits.argmax(1) == target) & ~found
            iterations[new] = step
            found = found | new
            if step == steps or bool(found.all()):
                break
            (gradient,) = torch.autograd.grad(TARGET_LOSSES[loss](logits, target).sum(), leaf)
            if step == 0:
                stuck = (gradient == 0).flatten(1).all(1) & ~found
            before = change.clone()
            change.grad = gradient
            optimizer.step()
            change.clamp_(0, 1)
            change[found] = before[found]
    return _descent(images, change, found, iterations, stuck)


def descend_lbfgs(
    model: Model,
    images: Images,
    target: Labels,
    *,
    iterations: int = 1000,
    loss: str = "ce",
    progress: Callable[[int, int], None] | None = None,
) -> Descent:
    """Let L-BFGS, with a line search, change each image until it is taken for its target.

    One image after the other, within [0, 1] (SciPy's L-BFGS-B, which keeps ten past steps). It ends early
    only where there is nothing to descend: no gradient, or a line search that finds no lower loss.

    Args:
        model: Gives logits, differentiable, in the type of the images.
        images: Where to start, (batch, channel, height, width), in [0, 1].
        target: Class that each is to be taken for, (batch,).
        iterations: At most, >= 1.
        loss: A key of `TARGET_LOSSES`.
        progress: Told after every image.

    Returns:
        The images, and which were found.

    Raises:
        ConfigError: A setting is out of range.

    Source:
        Nayebi and Ganguli 2017, section 7 and Figures 5 and 8, after Szegedy et al. 2014.
    """
    _check(iterations, loss)
    ends, found, counts, stuck = [], [], [], []
    with evaluation_mode(model):
        for number in range(len(images)):
            one = _descend_one(
                model, images[number : number + 1], target[number : number + 1], iterations, loss
            )
            ends.append(one[0])
            found.append(one[1])
            counts.append(one[2])
            stuck.append(one[3])
            if progress is not None:
                progress(number + 1, len(images))
    device = images.device
    return _descent(
        images,
        torch.cat(ends),
        torch.tensor(found, device=device),
        torch.tensor(counts, device=device),
        torch.tensor(stuck, device=device),
    )


class _Found(Exception):  # noqa: N818 - no error: it ends a search that has what it wanted
    """The image is taken for the target."""

    def __init__(self, image: NDArray[np.float64]) -> None:
        super().__init__()
        self.image = image


def _descend_one(
    model: Model, image: Images, target: Labels, iterations: int, loss: str
) -> tuple[Images, bool, int, bool]:
    """Descend from one image; return the end, whether it was found, iterations, and whether it was stuck."""
    done = 0
    slopes: list[bool] = []

    def as_image(flat: NDArray[np.float64]) -> Tensor:
        return torch.from_numpy(flat.copy()).to(image).reshape(image.shape)

    def value_and_slope(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        with torch.enable_grad():
            leaf = as_image(flat).requires_grad_(True)
            logits = model(leaf)
            value = TARGET_LOSSES[loss](logits, target).sum()
            (gradient,) = torch.autograd.grad(value, leaf)
        slopes.append(bool((gradient != 0).any()))
        return float(value.detach()), gradient.detach().double().cpu().numpy().ravel()

    def is_found(flat: NDArray[np.float64]) -> bool:
        with torch.no_grad():
            return bool(model(as_image(flat)).argmax(1) == target)

    def after(flat: NDArray[np.float64]) -> None:
        nonlocal done
        done += 1
        if is_found(flat):
            raise _Found(flat.copy())

    start = image.detach().double().cpu().numpy().ravel()
    if is_found(start):
        return image.detach().clone(), True, 0, False
    try:
        end = minimize(
            value_and_slope,
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=[(0.0, 1.0)] * len(start),
            callback=after,
            options={
                "maxiter": iterations,
                "maxfun": 20 * iterations,
                "ftol": 0.0,
                "gtol": 0.0,
                "maxcor": 10,
            },
        ).x
        return as_image(np.asarray(end)), False, done, not slopes[0]
    except _Found as success:
        return as_image(success.image), True, done, False


def _descent(
    images: Images,
    ends: Images,
    found: Bool[Tensor, " batch"],
    iterations: Int[Tensor, " batch"],
    stuck: Bool[Tensor, " batch"],
) -> Descent:
    moved = (ends - images).abs().flatten(1).mean(1)
    return Descent(images=ends.detach(), found=found, iterations=iterations, moved=moved, stuck=stuck)


def _check(count: int, loss: str) -> None:
    if count < 1:
        raise ConfigError(f"expected one iteration or more, got {count}")
    if loss not in TARGET_LOSSES:
        raise ConfigError(f"there is no loss '{loss}': expected one of {', '.join(TARGET_LOSSES)}")


def all_targets(
    images: Images, num_classes: int
) -> tuple[Float[Tensor, "pair channel height width"], Int[Tensor, " pair"], Int[Tensor, " pair"]]:
    """Return every pair of a source and another class as its target.

    Args:
        images: One image of each class, in the order of the classes, (class, channel, height, width).
        num_classes: How many classes there are.

    Returns:
        Images, targets and sources, each (class * (class - 1), ...), source by source.

    Raises:
        ConfigError: There is not one image for each class.
    """
    if len(images) != num_classes:
        raise ConfigError(f"expected one image for each of {num_classes} classes, got {len(images)}")
    source, target = (~torch.eye(num_classes, dtype=torch.bool)).nonzero(as_tuple=True)
    return images[source.to(images.device)], target.to(images.device), source.to(images.device)
