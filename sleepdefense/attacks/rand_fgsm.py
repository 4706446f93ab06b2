"""RAND+FGSM: a small random step away from the flat surroundings of an image, then FGSM."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from sleepdefense.attacks.gradient import loss_gradient
from sleepdefense.shapes import Images, Labels, Logits


def rand_fgsm(
    model: Callable[[Images], Logits],
    images: Images,
    labels: Labels,
    sign: Float[Tensor, "batch channel height width"],
    *,
    epsilon: float,
    alpha: float,
) -> Images:
    """Take a random step of length alpha, then one gradient step with the rest of epsilon.

        x' = clip(x + alpha * sign),    result = clip(x' + (epsilon - alpha) * sgn(grad of the loss at x'))

    Args:
        model: Gives logits, differentiable.
        images: (batch, channel, height, width), in [0, 1].
        labels: True class of each image, (batch,).
        sign: -1 or 1 for each pixel: the sign of normal noise.
        epsilon: Largest change of a pixel, > alpha.
        alpha: Length of the random step, > 0.

    Returns:
        Attacked images, in [0, 1], shaped as `images`.

    Source:
        Tramer et al. 2018, Eq. 7; epsilon .3 and alpha .05 in Samangouei et al. 2018.
    """
    start = torch.clamp(images + alpha * sign, 0.0, 1.0)
    gradient = loss_gradient(model, start, labels)
    return torch.clamp(start + (epsilon - alpha) * gradient.sign(), 0.0, 1.0)
