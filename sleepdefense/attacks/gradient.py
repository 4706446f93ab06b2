"""The gradient with respect to the image, and nothing else of a model touched.

Attack libraries call `backward`, which also fills the gradients of every weight. Here the model hides behind
an autograd function that asks for the image's gradient alone, so weights, their `requires_grad` and their
`grad` stay as they are, and a plain callable is treated like a module.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from sleepdefense.errors import EvaluationError
from sleepdefense.shapes import Images, Labels, Logits


@contextmanager
def evaluation_mode(model: Callable[[Images], Logits]) -> Iterator[None]:
    """Put a module and all its parts in evaluation mode, and back as they were; ignore other callables."""
    training = {part: part.training for part in model.modules()} if isinstance(model, nn.Module) else {}
    try:
        for part in training:
            part.training = False
        yield
    finally:
        for part, was_training in training.items():
            part.training = was_training


@dataclass(slots=True)
class GradientWatch:
    """What the first forward and the first backward pass of an attack showed, and how much it asked.

    Attributes:
        predicted: Classes predicted in the first forward pass, (batch,).
        is_zero: Whose gradient was zero everywhere in the first backward pass, (batch,).
        forward: Images shown to the model until now; each draw of a random model counts.
        backward: Images for which a gradient was taken until now, likewise.
    """

    predicted: Labels | None = None
    is_zero: Bool[Tensor, " batch"] | None = None
    forward: int = 0
    backward: int = 0

    def without_gradient(self, labels: Labels) -> Bool[Tensor, " batch"]:
        """Tell which images were classified correctly and yet had no gradient to follow, (batch,)."""
        seen = (self.predicted, self.is_zero)
        if seen[0] is None or seen[1] is None or not len(labels) == len(seen[0]) == len(seen[1]):
            return torch.zeros_like(labels, dtype=torch.bool)
        return seen[1] & (seen[0] == labels)

    def absorb(self, part: "GradientWatch", labels: Labels, chosen: Bool[Tensor, " batch"]) -> None:
        """Add what was seen while a part of the batch was attacked.

        Args:
            part: The watch of that part.
            labels: True class of each image of the whole batch, (batch,).
            chosen: Which of them are the part, (batch,).
        """
        self.forward += part.forward
        self.backward += part.backward
        self.predicted, self.is_zero = labels, torch.zeros_like(chosen)
        self.is_zero[chosen] = part.without_gradient(labels[chosen])


class ImageGradient(nn.Module):
    """A model as attacks see it: logits whose gradient flows to the images only.

    A model with `logit_draws` keeps it, so that a loss can be averaged over the draws.

    Args:
        model: Gives logits, (batch, class). It is not registered as a part, so moving or switching this
            module leaves it alone.
        watch: Filled by the first passes.
    """

    logit_draws: Callable[[Images], Tensor]

    def __init__(self, model: Callable[[Images], Logits], watch: GradientWatch) -> None:
        super().__init__()
        # a tuple hides the model from torch's registry of parts
        self._arguments = (model, watch)
        draws: Callable[[Images], Tensor] | None = getattr(model, "logit_draws", None)
        if draws is not None:
            self.logit_draws = partial(_ask, ask=draws, watch=watch)
        self.eval()

    def forward(self, images: Images) -> Logits:
        """Return the model's logits, (batch, class)."""
        model, watch = self._arguments
        return _ask(images, ask=model, watch=watch)

    def watched_by(self, watch: GradientWatch) -> "ImageGradient":
        """Return the same model with another watch."""
        return ImageGradient(self._arguments[0], watch)


def _ask(images: Tensor, *, ask: Callable[[Tensor], Tensor], watch: GradientWatch) -> Tensor:
    """Return the logits of a model, (batch, class), or of several draws, (draw, batch, class)."""
    apply: Callable[..., Tensor] = cast(Any, _ImageGradient).apply
    return apply(images, ask, watch)


def loss_gradient(model: Callable[[Images], Logits], images: Images, labels: Labels) -> Images:
    """Return the gradient of the cross-entropy of each image with respect to its pixels.

    Args:
        model: Gives logits, differentiable.
        images: (batch, channel, height, width).
        labels: True class of each image, (batch,).

    Returns:
        Gradients, shaped as `images`. Those of one image do not depend on the others of the batch.
    """
    with torch.enable_grad():
        leaf = images.detach().requires_grad_(True)
        loss = nn.functional.cross_entropy(model(leaf), labels, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, leaf)
    return gradient


class _ImageGradient(torch.autograd.Function):
    """Run the model on a detached leaf, and ask for the gradient of that leaf alone."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, ask: Callable[[Tensor], Tensor], watch: GradientWatch) -> Tensor:
        with torch.set_grad_enabled(bool(ctx.needs_input_grad[0])):
            leaf = images.detach().requires_grad_(bool(ctx.needs_input_grad[0]))
            logits = ask(leaf)
        if leaf.requires_grad and not logits.requires_grad:
            raise EvaluationError(
                "the model's logits have no gradient with respect to the image. A part of it is not "
                "differentiable or runs under no_grad: attack it without gradients"
            )
        watch.forward += logits[..., 0].numel()
        is_lost = logits.detach().isnan().any(-1).reshape(-1, len(images)).any(0)
        if bool(is_lost.any()):
            raise EvaluationError(
                f"the model's logits are not numbers for {int(is_lost.sum())} of {len(images)} images"
            )
        if watch.predicted is None:
            watch.predicted = logits.detach().reshape(-1, *logits.shape[-2:]).mean(0).argmax(1)
        ctx.leaf, ctx.logits, ctx.watch = leaf, logits, watch
        return logits.detach().clone()

    @staticmethod
    def backward(ctx: Any, *logits_gradient: Tensor) -> tuple[Tensor, None, None]:
        # attacks that take one gradient a class come back with the same logits
        (gradient,) = torch.autograd.grad(
            ctx.logits, ctx.leaf, logits_gradient[0], allow_unused=True, retain_graph=True
        )
        if gradient is None:
            raise EvaluationError(
                "the model's logits do not depend on the image: an attack has no gradient to follow"
            )
        ctx.watch.backward += logits_gradient[0][..., 0].numel()
        finite = gradient.flatten(1).isfinite().all(1)
        if not bool(finite.all()):
            raise EvaluationError(
                f"the model's gradient is not finite for {int((~finite).sum())} of {len(finite)} images"
            )
        if ctx.watch.is_zero is None:
            ctx.watch.is_zero = (gradient == 0).flatten(1).all(1)
        return gradient, None, None
