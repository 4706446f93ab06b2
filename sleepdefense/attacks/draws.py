"""When an image counts as wrong for a model that draws at random, and by how much it leads or trails.

An attack sees some numbered draws of such a model, and never the one that decides. An image that is wrong
on the mean of the draws stands on the edge and fools every second draw, and a search for the nearest wrong
image ends exactly there. So a search has to fool a large share of the draws it sees.
"""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sleepdefense.attacks.losses import margin_loss
from sleepdefense.shapes import Labels, Logits

Draws = Float[Tensor, "draw batch class"]

NEARLY_ALL = 0.9
"""Share of the draws that a search has to fool."""

HALF = 0.5
"""Share that it has to fool where it found nothing that fools nearly all."""


def is_fooled(draws: Draws, labels: Labels, share: float) -> Bool[Tensor, " batch"]:
    """Tell which images at least this share of the draws takes for another class.

    Args:
        draws: Logits of several draws, (draw, batch, class).
        labels: True classes, (batch,).
        share: In (0, 1].

    Returns:
        (batch,).
    """
    is_wrong = draws.argmax(2) != labels
    return is_wrong.sum(0) >= _needed(len(draws), share)


def deciding_logits(draws: Draws, labels: Labels, share: float) -> Logits:
    """Return logits that say what a share of the draws says, with the gradient of the mean logits.

    They are the mean over the draws, with the true class put where it leads by as much as in the draw that
    has to be fooled: the k-th easiest of m, k = ceil(share m). So whoever takes their largest entry sees
    whether k draws are fooled, and whoever takes the lead of the true class for the way to the boundary sees
    that draw's. A difference of logits is linear in them: its gradient is the mean of those of all draws.

    Args:
        draws: Logits of several draws, (draw, batch, class).
        labels: True classes, (batch,).
        share: In (0, 1].

    Returns:
        (batch, class), differentiable as the mean is.

    >>> draws = torch.tensor([[[2.0, 0.0]], [[1.0, 2.0]]])
    >>> deciding_logits(draws, torch.tensor([0]), share=1.0)
    tensor([[3., 1.]])
    >>> deciding_logits(draws, torch.tensor([0]), share=0.5)
    tensor([[0., 1.]])
    """
    num_draws, batch, num_classes = draws.shape
    mean = draws.mean(0)
    with torch.no_grad():
        trails = margin_loss(draws.reshape(-1, num_classes), labels.repeat(num_draws))
        leads = -trails.reshape(num_draws, batch)
        wanted = leads.sort(0).values[_needed(num_draws, share) - 1]
        missing = wanted + margin_loss(mean, labels)
        offset = torch.zeros_like(mean).scatter(1, labels[:, None], missing[:, None])
    return mean + offset


def _needed(num_draws: int, share: float) -> int:
    return max(1, math.ceil(share * num_draws - 1e-9))
