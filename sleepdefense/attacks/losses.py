"""What a gradient attack drives up, image by image; the mean over the draws of a random model.

A model that draws at random offers `logit_draws(images)`, the logits of several independent draws. The loss
is taken draw by draw and averaged afterwards: the mean of the losses, whose gradient is the mean of the
gradients, and not the loss of the mean logits, which a few saturated draws can flatten.
"""

from collections.abc import Callable
from typing import Protocol, cast, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import cross_entropy

from sleepdefense.errors import ConfigError
from sleepdefense.shapes import Images, Labels, Logits

_FEWEST_CLASSES = {"ce": 1, "margin": 2, "dlr": 4}
_NO_DIVISION_BY_ZERO = 1e-12


@runtime_checkable
class DrawsLogits(Protocol):
    """A model that draws at random, and says what it makes of images in each of several draws."""

    def logit_draws(self, images: Images) -> Float[Tensor, "draw batch class"]:
        """Return the logits of independent draws, (draw, batch, class)."""
        ...


def attack_loss(
    model: Callable[[Images], Logits], images: Images, labels: Labels, kind: str
) -> Float[Tensor, " batch"]:
    """Return how wrong a model is on each image, differentiable with respect to the images.

    With `logit_draws`, the mean over the draws of the loss of each:

        loss(x) = 1/m sum_i l(z_i(x), y),    z_i the logits of draw i

    Args:
        model: Gives logits. If it has `logit_draws`, that is what is asked.
        images: (batch, channel, height, width), in [0, 1].
        labels: True class of each image, (batch,).
        kind: A key of `LOSSES`: "ce", "margin" or "dlr".

    Returns:
        One loss for each image, (batch,); higher is more wrong.

    Raises:
        ConfigError: There is no such loss, or the model knows too few classes for it.

    Source:
        Athalye et al. 2018, "Obfuscated gradients", section 4.2: the expectation of the gradient of the loss.
    """
    if kind not in LOSSES:
        raise ConfigError(f"there is no loss '{kind}': expected one of {', '.join(LOSSES)}")
    ask = getattr(model, "logit_draws", None)
    if ask is None:
        return _loss(kind, model(images), labels)
    return loss_of_draws(kind, cast(Tensor, ask(images)), labels)


def loss_of_draws(
    kind: str, draws: Float[Tensor, "draw batch class"], labels: Labels
) -> Float[Tensor, " batch"]:
    """Return the mean over draws of the loss of each, (batch,).

    Args:
        kind: A key of `LOSSES`.
        draws: Logits of several draws, (draw, batch, class).
        labels: True class of each image, (batch,).

    Raises:
        ConfigError: The model knows too few classes for the loss.
    """
    num_draws, batch, num_classes = draws.shape
    losses = _loss(kind, draws.reshape(num_draws * batch, num_classes), labels.repeat(num_draws))
    return losses.reshape(num_draws, batch).mean(0)


def margin_loss(logits: Logits, labels: Labels) -> Float[Tensor, " batch"]:
    """Return by how much the best wrong class leads: max over j != y of z_j, minus z_y.

    >>> margin_loss(torch.tensor([[3.0, 1.0, 2.0]]), torch.tensor([0]))
    tensor([-1.])
    """
    return _best_wrong(logits, labels) - _true(logits, labels)


def dlr_loss(logits: Logits, labels: Labels) -> Float[Tensor, " batch"]:
    """Return the difference-of-logits ratio, which neither the scale nor the offset of the logits changes.

        loss = -(z_y - max over j != y of z_j) / (z_(1) - z_(3)),    z_(1) >= z_(2) >= ... the sorted logits

    It is above 0 for images that are classified wrongly, and at most 1.

    Source:
        Croce and Hein 2020, Eq. 6.

    >>> dlr_loss(torch.tensor([[3.0, 1.0, 2.0, 0.0]]), torch.tensor([0]))
    tensor([-0.5000])
    """
    largest = logits.topk(3, dim=1).values
    spread = largest[:, 0] - largest[:, 2]
    return margin_loss(logits, labels) / (spread + _NO_DIVISION_BY_ZERO)


def _cross_entropy(logits: Logits, labels: Labels) -> Float[Tensor, " batch"]:
    return cross_entropy(logits, labels, reduction="none")


LOSSES: dict[str, Callable[[Logits, Labels], Float[Tensor, " batch"]]] = {
    "ce": _cross_entropy,
    "margin": margin_loss,
    "dlr": dlr_loss,
}
"""Losses of logits by name: cross-entropy, margin of the best wrong class, difference-of-logits ratio."""


def _loss(kind: str, logits: Logits, labels: Labels) -> Float[Tensor, " batch"]:
    """Return the loss after counting the classes."""
    fewest = _FEWEST_CLASSES[kind]
    if logits.shape[1] < fewest:
        raise ConfigError(
            f"loss '{kind}' needs {fewest} classes or more, got {logits.shape[1]}: take another one of "
            f"{', '.join(LOSSES)}"
        )
    return LOSSES[kind](logits, labels)


def _true(logits: Logits, labels: Labels) -> Float[Tensor, " batch"]:
    return logits.gather(1, labels[:, None]).squeeze(1)


def _best_wrong(logits: Logits, labels: Labels) -> Float[Tensor, " batch"]:
    own = torch.zeros_like(logits, dtype=torch.bool).scatter(1, labels[:, None], True)
    return logits.masked_fill(own, -torch.inf).amax(1)
