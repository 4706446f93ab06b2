"""Carlini and Wagner's attack in L2, each image on its own.

The same steps as in foolbox 3.3.4, with two differences. Whether a search ends early is decided image by
image and not by the sum over the batch, so the batch does not matter, and what has ended costs nothing more.
And an image for which nothing was found is returned as it came; foolbox returns an all-black one.

Of a model that draws at random, the misclassification term is the mean of that of each draw.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sleepdefense.attacks.draws import NEARLY_ALL, is_fooled
from sleepdefense.shapes import Images, Labels, Logits

_INSIDE = 0.999999
"""Keeps the inverse of tanh finite for black and white pixels."""
_FIRST_DECAY, _SECOND_DECAY, _TINY = 0.9, 0.999, 1e-8
"""Adam's constants."""
_LARGEST_WEIGHT = 1e10
_MUST_FALL = 0.9999
"""A search ends when a tenth of its steps has not brought the loss below this share of what it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CarliniWagner:
    """Settings of the attack.

    Attributes:
        learning_rate: Step of Adam, in the space of inverse tanh.
        steps: Steps of each search, >= 1.
        binary_search_steps: Searches, each with another weight of the misclassification term, >= 1.
        initial_const: First weight; ten times as much after each failure until there is a success, then
            halfway between the largest that failed and the smallest that succeeded.
        confidence: How far the wrong logit must lead, in logits, >= 0.
        abort_early: Whether a search ends when its loss no longer falls.
        share: Of a model that draws at random, the share of draws that has to be fooled.
    """

    learning_rate: float
    steps: int
    binary_search_steps: int
    initial_const: float
    confidence: float
    abort_early: bool
    share: float = NEARLY_ALL

    def attack(self, model: Callable[[Images], Logits], images: Images, labels: Labels) -> Images:
        """Look for the nearest image of another class.

            minimise over w   |x(w) - x|^2 + c * max(0, z_y - max over j != y of z_j + confidence),
            x(w) = (tanh(w) + 1) / 2,    the second term as a mean over draws, if there are several

        Args:
            model: Gives logits z, differentiable; if it has `logit_draws`, that is what is asked.
            images: x, (batch, channel, height, width), in [0, 1].
            labels: True classes y, (batch,).

        Returns:
            The nearest wrong image that a step came by, or the image itself.

        Source:
            Carlini and Wagner 2017, section V.B.
        """
        best, best_norm = images.clone(), torch.full_like(images[:, 0, 0, 0], torch.inf)
        weight = torch.full_like(best_norm, self.initial_const, dtype=torch.float64)
        too_small, large_enough = torch.zeros_like(weight), torch.full_like(weight, torch.inf)
        for number in range(self.binary_search_steps):
            if number == self.binary_search_steps - 1 and self.binary_search_steps >= 10:
                weight = large_enough.clamp(max=_LARGEST_WEIGHT)
            found = self._search_(model, images, labels, weight.float(), best, best_norm)
            large_enough = torch.where(found, weight, large_enough)
            too_small = torch.where(found, too_small, weight)
            weight = torch.where(large_enough.isinf(), weight * 10, (too_small + large_enough) / 2)
        return best

    def _search_(
        self,
        model: Callable[[Images], Logits],
        images: Images,
        labels: Labels,
        weight: Float[Tensor, " batch"],
        best_: Images,
        best_norm_: Float[Tensor, " batch"],
    ) -> Bool[Tensor, " batch"]:
        """Minimise with one weight for each image; keep what is nearer than before, and say who succeeded."""
        found = torch.zeros_like(labels, dtype=torch.bool)
        alive = torch.arange(len(images), device=images.device)
        inside = (2 * images - 1) * _INSIDE
        start = 0.5 * (torch.log1p(inside) - torch.log1p(-inside))
        change, first, second = (torch.zeros_like(images) for _ in range(3))
        before = torch.full_like(weight, torch.inf)
        for step in range(self.steps):
            loss, attacked, draws, gradient = self._loss(
                model, start[alive] + change, start[alive], labels[alive], weight[alive]
            )
            first = _FIRST_DECAY * first + (1 - _FIRST_DECAY) * gradient
            second = _SECOND_DECAY * second + (1 - _SECOND_DECAY) * gradient.square()
            mean = first / (1 - _FIRST_DECAY ** (step + 1))
            scale = (second / (1 - _SECOND_DECAY ** (step + 1))).sqrt() + _TINY
            change = change - self.learning_rate * mean / scale
            if self.abort_early and step % math.ceil(self.steps / 10) == 0:
                goes_on = loss <= _MUST_FALL * before
                before, alive = loss[goes_on], alive[goes_on]
                change, first, second = change[goes_on], first[goes_on], second[goes_on]
                attacked, draws = attacked[goes_on], draws[:, goes_on]
                if not len(alive):
                    break
            lead = self.confidence * torch.nn.functional.one_hot(labels[alive], draws.shape[2])
            is_wrong = is_fooled(draws + lead, labels[alive], self.share)
            norm = (attacked - images[alive]).flatten(1).norm(dim=1)
            found[alive] |= is_wrong
            nearer = is_wrong & (norm < best_norm_[alive])
            best_[alive[nearer]], best_norm_[alive[nearer]] = attacked[nearer], norm[nearer]
        return found

    def _loss(
        self,
        model: Callable[[Images], Logits],
        point: Tensor,
        start: Tensor,
        labels: Labels,
        weight: Float[Tensor, " batch"],
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the loss of each image, the images, the logits of each draw, and the gradient at `point`."""
        leaf = point.detach().requires_grad_(True)
        attacked = (leaf.tanh() + 1) / 2
        ask = getattr(model, "logit_draws", None)
        draws = model(attacked)[None] if ask is None else cast(Tensor, ask(attacked))
        own = labels[None, :, None].expand(len(draws), -1, 1)
        other = draws.detach().scatter(2, own, -torch.inf).argmax(2, keepdim=True)
        lead = (draws.gather(2, own) - draws.gather(2, other)).squeeze(2) + self.confidence
        distance = (attacked - (start.tanh() + 1) / 2).flatten(1).square().sum(1)
        loss = torch.maximum(lead, torch.zeros_like(lead)).mean(0) * weight + distance
        (gradient,) = torch.autograd.grad(loss.sum(), leaf)
        return loss.detach(), attacked.detach(), draws.detach(), gradient
