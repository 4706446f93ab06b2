"""Where attacks start that walk towards the image: real images that the model takes for another class.

Attack libraries start from uniform noise, at most a thousand draws of it. Most models give noise always the
same label, and for images of that label the attack may find no start, and fails with the whole batch. A real
image of another predicted class exists for any model that is of use. Noise is the better start where there is
one: it changes every pixel a little, an image some of them a lot, and the walk keeps something of that.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool
from torch import Tensor

from sleepdefense.attacks.gradient import evaluation_mode
from sleepdefense.errors import ConfigError
from sleepdefense.shapes import Images, Labels, Logits


class Starts(NamedTuple):
    """A start for each image of a batch.

    Attributes:
        images: Shaped as the batch; where there is no start, the image itself.
        is_found: Whether there is one, (batch,).
    """

    images: Images
    is_found: Bool[Tensor, " batch"]


@dataclass(frozen=True, slots=True)
class StartingPool:
    """Images, and what one model takes them for.

    Attributes:
        images: (image, channel, height, width), in [0, 1].
        predicted: The class that the model gives each, (image,).
    """

    images: Images
    predicted: Labels

    def nearest(self, images: Images, labels: Labels, norm: str) -> Starts:
        """Find for each image the nearest one of the pool that the model gives another label.

        Args:
            images: (batch, channel, height, width).
            labels: True class of each, (batch,).
            norm: The attack's. Distances are L1 for "L1" and "L0", else L2.

        Returns:
            The starts. They depend on the image alone, not on its batch.

        Raises:
            ConfigError: The pool holds images of another size.
        """
        if self.images.shape[1:] != images.shape[1:]:
            raise ConfigError(
                f"the starting pool holds images of the shape {tuple(self.images.shape[1:])}, but those "
                f"under attack are {tuple(images.shape[1:])}"
            )
        pool = self.images.to(images)
        distance = torch.cdist(
            images.detach().flatten(1),
            pool.flatten(1),
            p=1.0 if norm in ("L1", "L0") else 2.0,
            compute_mode="donot_use_mm_for_euclid_dist",  # matrix products round otherwise in other batches
        )
        is_same = self.predicted.to(labels)[None, :] == labels[:, None]
        least, number = distance.masked_fill(is_same, torch.inf).min(1)
        is_found = least.isfinite()
        return Starts(torch.where(is_found[:, None, None, None], pool[number], images), is_found)


@torch.no_grad()
def make_pool(model: Callable[[Images], Logits], images: Images, *, batch_size: int = 256) -> StartingPool:
    """Ask a model what it takes the images of a pool for.

    Args:
        model: Gives logits. A module is put in evaluation mode meanwhile.
        images: (image, channel, height, width), in [0, 1], at least one; a few hundred do.
        batch_size: Images shown at once, >= 1.

    Returns:
        The pool.

    Raises:
        ConfigError: There are no images, or `batch_size` is below 1.
    """
    if len(images) == 0 or batch_size < 1:
        raise ConfigError(
            f"a starting pool needs at least one image and a batch_size of at least 1, got {len(images)} "
            f"images and a batch_size of {batch_size}"
        )
    with evaluation_mode(model):
        predicted = torch.cat([model(part).argmax(1) for part in images.split(batch_size)])
    return StartingPool(images=images, predicted=predicted)
