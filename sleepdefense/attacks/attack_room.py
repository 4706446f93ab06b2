"""What an attack is given to work with: a model it may ask, images, labels, and random numbers of its own."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Int64
from numpy import ndarray
from torch import Tensor

from sleepdefense.attacks.draws import NEARLY_ALL, is_fooled
from sleepdefense.attacks.gradient import GradientWatch, ImageGradient
from sleepdefense.attacks.noise import derive_seed
from sleepdefense.attacks.starting import StartingPool
from sleepdefense.shapes import Images, Labels


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackRoom:
    """One batch under attack.

    Attributes:
        model: The model, with gradients to the images alone; counts what it is asked.
        watch: The counts.
        images: (batch, channel, height, width), in [0, 1], float32.
        labels: True classes, (batch,), int64.
        index: Number of each image in its data set, (batch,).
        seed: Seed of the run.
        stream: Name of the attack, for its random numbers.
        pool: Images to start from.
        share: An image counts as wrong if this share of the draws is wrong, of a model that draws at random.
    """

    model: ImageGradient
    watch: GradientWatch
    images: Images
    labels: Labels
    index: Int64[ndarray, " batch"]
    seed: int
    stream: str
    pool: StartingPool | None = None
    share: float = NEARLY_ALL

    @property
    def is_random(self) -> bool:
        """Whether the model is seen through several draws."""
        return hasattr(self.model, "logit_draws")

    def noise(self, kind: Callable[..., Tensor], shape: tuple[int, ...], *, number: int = 0) -> Tensor:
        """Draw numbers that belong to each image, whatever its batch.

        Args:
            kind: Of `noise.py`: `uniform_noise`, `normal_noise` or `sign_noise`.
            shape: Shape of one image's draw.
            number: Which draw of the attack this is, from 0.

        Returns:
            The numbers, (batch, *shape), on the images' device.
        """
        stream = f"{self.stream}#{number}" if number else self.stream
        return kind(self.index, tuple(shape), seed=self.seed, stream=stream).to(self.images.device)

    def shared_seed(self, purpose: str) -> int:
        """Give a seed that all images of this attack share, for one purpose."""
        return derive_seed(self.seed, f"{self.stream}/{purpose}")

    @torch.no_grad()
    def is_wrong(self, images: Images) -> Bool[Tensor, " batch"]:
        """Ask the model whether it takes these images for another class than the true one, (batch,)."""
        if self.is_random:
            return is_fooled(self.model.logit_draws(images), self.labels, self.share)
        logits: Tensor = self.model(images)
        return logits.argmax(1) != self.labels

    def run_part(self, chosen: Bool[Tensor, " batch"], run: Callable[["AttackRoom"], Images]) -> Images:
        """Attack some images of the batch and leave the others as they are.

        Args:
            chosen: Which ones, (batch,).
            run: Attacks them, in a room of their own.

        Returns:
            All images of the batch.
        """
        watch = GradientWatch()
        part = replace(
            self,
            model=self.model.watched_by(watch),
            watch=watch,
            images=self.images[chosen],
            labels=self.labels[chosen],
            index=self.index[chosen.cpu().numpy()],
        )
        images = self.images.clone()
        if bool(chosen.any()):
            images[chosen] = run(part)
        self.watch.absorb(watch, self.labels, chosen)
        return images
