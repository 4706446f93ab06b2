"""Carlini and Wagner's attack in L2, each image on its own.

The same steps as in foolbox 3.3.4, with two differences. Whether a search ends early is decided image by
image and not by the sum over the batch, so the batch does not matter; an image whose search has ended begins
its next one while others are still at theirs, and leaves the batch after its last. And an image for which
nothing was found is returned as it came; foolbox returns an all-black one.

Of a model that draws at random, the misclassification term is the mean of that of each draw.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np
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
        searches = _Searches(images, self)
        tenth = math.ceil(self.steps / 10)
        while len(searches.rows):
            here = searches.rows
            loss, attacked, draws, gradient = self._loss(
                model,
                searches.start + searches.change,
                searches.start,
                labels[here],
                searches.weight.float(),
            )
            searches.descend_(gradient)
            has_fallen = torch.ones_like(loss, dtype=torch.bool)
            if self.abort_early and bool((searches.step % tenth == 0).any()):
                has_fallen = searches.compare_(
                    loss, torch.from_numpy(searches.step % tenth == 0).to(here.device)
                )
            lead = self.confidence * torch.nn.functional.one_hot(labels[here], draws.shape[2])
            is_wrong = is_fooled(draws + lead, labels[here], self.share) & has_fallen
            norm = (attacked - images[here]).flatten(1).norm(dim=1)
            searches.found |= is_wrong
            nearer = is_wrong & (norm < best_norm[here])
            best[here[nearer]], best_norm[here[nearer]] = attacked[nearer], norm[nearer]
            searches.end_(has_fallen)
        return best

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


class _Searches:
    """The search that each image is at: where it stands, and what Adam remembers of it.

    Args:
        images: (batch, channel, height, width), in [0, 1].
        settings: Of the attack.
    """

    def __init__(self, images: Images, settings: CarliniWagner) -> None:
        self.settings = settings
        self.rows = torch.arange(len(images), device=images.device)
        inside = (2 * images - 1) * _INSIDE
        self.start = 0.5 * (torch.log1p(inside) - torch.log1p(-inside))
        self.change, self.first, self.second = (torch.zeros_like(images) for _ in range(3))
        self.weight = torch.full((len(images),), settings.initial_const, device=images.device).double()
        self.too_small = torch.zeros_like(self.weight)
        self.large_enough = torch.full_like(self.weight, torch.inf)
        self.before = torch.full_like(images[:, 0, 0, 0], torch.inf)
        self.found = torch.zeros_like(self.rows, dtype=torch.bool)
        # the steps are known without asking the device
        self.step, self.number = np.zeros(len(images), np.int64), np.zeros(len(images), np.int64)

    def descend_(self, gradient: Tensor) -> None:
        """Take a step of Adam."""
        self.first = _FIRST_DECAY * self.first + (1 - _FIRST_DECAY) * gradient
        self.second = _SECOND_DECAY * self.second + (1 - _SECOND_DECAY) * gradient.square()
        mean = self.first / self._bias(_FIRST_DECAY)
        scale = (self.second / self._bias(_SECOND_DECAY)).sqrt() + _TINY
        self.change = self.change - self.settings.learning_rate * mean / scale

    def _bias(self, decay: float) -> Tensor:
        """Return the share of a running mean that does not stem from its start, (batch, 1, 1, 1)."""
        share = torch.from_numpy(1 - decay ** (self.step + 1))
        return share.to(self.first)[:, None, None, None]

    def compare_(self, loss: Tensor, is_due: Bool[Tensor, " batch"]) -> Bool[Tensor, " batch"]:
        """Tell whose loss has fallen far enough since the last time, or is not yet to be looked at."""
        has_fallen = ~is_due | (loss <= _MUST_FALL * self.before)
        self.before = torch.where(is_due, loss, self.before)
        return has_fallen

    def end_(self, has_fallen: Bool[Tensor, " batch"]) -> None:
        """Count a step; where a search is over begin the next one, and let images go after their last."""
        self.step += 1
        ended = ~has_fallen.cpu().numpy() | (self.step >= self.settings.steps)
        if not ended.any():
            return
        over = torch.from_numpy(ended).to(self.rows.device)
        self.large_enough = torch.where(over & self.found, self.weight, self.large_enough)
        self.too_small = torch.where(over & ~self.found, self.weight, self.too_small)
        self.number[ended] += 1
        self.step[ended] = 0
        last = self.settings.binary_search_steps - 1
        is_last = torch.from_numpy(self.number == last).to(over) & (last >= 9)
        middle = torch.where(
            self.large_enough.isinf(), self.weight * 10, (self.too_small + self.large_enough) / 2
        )
        following = torch.where(is_last, self.large_enough.clamp(max=_LARGEST_WEIGHT), middle)
        self.weight = torch.where(over, following, self.weight)
        goes_on = torch.from_numpy(self.number <= last).to(over)
        for name in ("change", "first", "second"):
            state = getattr(self, name).masked_fill(over[:, None, None, None], 0.0)
            setattr(self, name, state[goes_on])
        self.found, self.before = (
            (self.found & ~over)[goes_on],
            self.before.masked_fill(over, torch.inf)[goes_on],
        )
        for name in ("rows", "start", "weight", "too_small", "large_enough"):
            setattr(self, name, getattr(self, name)[goes_on])
        self.step, self.number = (each[self.number <= last] for each in (self.step, self.number))
