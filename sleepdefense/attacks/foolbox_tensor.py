"""A tensor that makes foolbox draw random numbers which belong to an image, not to a batch.

foolbox draws from the global generator of torch, by asking a tensor of its own kind (of eagerpy) for numbers.
That tensor passes its class on to whatever is computed from it, so a class that draws otherwise goes through
a whole attack.
"""

from typing import Any

import torch
from eagerpy.tensor.pytorch import PyTorchTensor
from torch import Tensor

from sleepdefense.attacks.attack_room import AttackRoom
from sleepdefense.attacks.losses import loss_of_draws
from sleepdefense.attacks.noise import normal_noise, uniform_noise


def drawing_tensor(room: AttackRoom) -> Any:
    """Wrap a batch of images so that attacks on it draw independently of the batch.

    Logits of a model that draws at random are wrapped by its `of_draws`: a cross-entropy of them is the mean
    of that of each draw.

    A draw of the batch's length gives each image numbers of its own. A draw of another shape (Boundary's one
    direction for the whole batch, HopSkipJump's directions for each of its steps) gives all images the same.

    Args:
        room: The batch.

    Returns:
        An eagerpy tensor of the images.
    """
    numbers = iter(range(2**62))

    def draw(kind: str, shape: tuple[int, ...]) -> Tensor:
        number = next(numbers)
        batch = len(room.images)
        if shape[0] == batch and shape[1:] != (1,) and len(shape) <= room.images.ndim:
            return room.noise(uniform_noise if kind == "uniform" else normal_noise, shape[1:], number=number)
        one = (shape[0], 1, *shape[2:]) if len(shape) > room.images.ndim else shape
        generator = torch.Generator().manual_seed(room.shared_seed(f"draw {number}"))
        filled = torch.rand if kind == "uniform" else torch.randn
        return filled(one, generator=generator).to(room.images.device).expand(shape)

    class DrawingTensor(PyTorchTensor):
        """The images of one batch, or anything computed from them."""

        __slots__ = ()

        def uniform(self, shape: Any, low: float = 0.0, high: float = 1.0) -> Any:
            """Draw uniform numbers in [low, high)."""
            return type(self)(draw("uniform", tuple(shape)) * (high - low) + low)

        def normal(self, shape: Any, mean: float = 0.0, stddev: float = 1.0) -> Any:
            """Draw normal numbers."""
            return type(self)(draw("normal", tuple(shape)) * stddev + mean)

        def matmul(self, other: Any) -> Any:
            """Multiply by a column, row by row: matrix products round otherwise in other batches."""
            return type(self)((self.raw * other.raw.T).sum(1, keepdim=True))

        @classmethod
        def of_draws(cls, logits: Tensor, draws: Tensor) -> Any:
            """Wrap logits, (batch, class), that stand for several draws, (draw, batch, class)."""
            wrapped = LogitsOfDraws(logits)
            wrapped.draws = draws
            return wrapped

    class LogitsOfDraws(DrawingTensor):
        """Logits of a random model; what is computed from them is an ordinary tensor."""

        __slots__ = ("draws",)
        draws: Tensor

        def crossentropy(self, labels: Any) -> Any:
            """Return the mean over the draws of the cross-entropy of each image."""
            return DrawingTensor(loss_of_draws("ce", self.draws, labels.raw))

    return DrawingTensor(room.images)
