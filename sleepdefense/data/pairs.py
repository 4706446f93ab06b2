"""The material of the awake phase: noisy images, each with the clean one it came from."""

import hashlib
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from sleepdefense.data.image_set import ImageSet, check_images, tensor_digest
from sleepdefense.errors import DataError
from sleepdefense.shapes import Images


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PairSet:
    """Several noisy variants of every clean image.

    Noisy intensities are kept in 8 bits, 255 for 1.0: a quarter of the memory, at most 1/510 away from
    what the attack found.

    Attributes:
        variants: What was done to the images of each variant, as in ("FGSM:0.3", "FGSM:0.1").
        noisy: (variant, image, channel, height, width), uint8.
        clean: (image, channel, height, width), float32, in [0, 1].
        labels: (image,), int64.

    Raises:
        DataError: The parts do not fit each other, or the clean images are out of range.

    >>> clean = torch.zeros(2, 1, 1, 1)
    >>> noisy = torch.tensor([0, 255], dtype=torch.uint8).reshape(1, 2, 1, 1, 1)
    >>> pairs = PairSet(variants=("white",), noisy=noisy, clean=clean, labels=torch.tensor([3, 7]))
    >>> pairs.noisy_batch(torch.tensor([0, 0]), torch.tensor([1, 0])).flatten()
    tensor([1., 0.])
    """

    variants: tuple[str, ...]
    noisy: UInt8[Tensor, "variant image channel height width"]
    clean: Float[Tensor, "image channel height width"]
    labels: Int[Tensor, " image"]

    def __post_init__(self) -> None:
        check_images("clean", self.clean)
        expected = (len(self.variants), *self.clean.shape)
        if not self.variants or self.noisy.dtype != torch.uint8 or self.noisy.shape != expected:
            raise DataError(
                f"the noisy images are {self.noisy.dtype} of shape {tuple(self.noisy.shape)}: "
                f"expected torch.uint8 of shape {expected}, one variant for each name"
            )
        if self.labels.dtype != torch.int64 or self.labels.shape != (len(self.clean),):
            raise DataError(
                f"the labels of the pairs are {self.labels.dtype} of shape {tuple(self.labels.shape)}: "
                f"expected torch.int64 of shape ({len(self.clean)},), one for each clean image"
            )

    def __len__(self) -> int:
        """Return the number of pairs: variants times images."""
        return len(self.variants) * len(self.clean)

    def noisy_batch(self, variant_index: Int[Tensor, " batch"], image_index: Int[Tensor, " batch"]) -> Images:
        """Return chosen noisy images as floats.

        Args:
            variant_index: Which variant of each image, (batch,), in [0, variants).
            image_index: Which image, (batch,), in [0, images).

        Returns:
            (batch, channel, height, width), float32, in [0, 1].
        """
        return to_intensities(self.noisy[variant_index, image_index])

    @property
    def digest(self) -> str:
        """SHA-256 of the content in hexadecimal, the names of the variants included."""
        content = tensor_digest(self.noisy, self.clean, self.labels)
        return hashlib.sha256("\n".join([content, *self.variants]).encode()).hexdigest()


def undisturbed_pairs(data: ImageSet) -> PairSet:
    """Return every image as its own noisy variant."""
    return PairSet(
        variants=("clean",), noisy=to_8_bit(data.images)[None], clean=data.images, labels=data.labels
    )


def to_8_bit(image: Float[Tensor, "*shape"]) -> UInt8[Tensor, "*shape"]:
    """Round intensities in [0, 1] to multiples of 1/255.

    >>> to_8_bit(torch.tensor([0.0, 0.5, 1.0]))
    tensor([  0, 128, 255], dtype=torch.uint8)
    """
    return (image * 255 + 0.5).floor().clamp(0, 255).to(torch.uint8)


def to_intensities(levels: UInt8[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Turn 8-bit levels into intensities, 255 into 1.0; the inverse of `to_8_bit`."""
    return levels.to(torch.float32).div_(255)
