"""A set of labelled images, held in memory."""

import hashlib
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from sleepdefense.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageSet:
    """Images with their labels, always in the same order.

    Attributes:
        name: Data set and split, as in "digits/train".
        images: (image, channel, height, width), float32, in [0, 1].
        labels: (image,), int64, in [0, num_classes).
        num_classes: How many classes the data set has, >= 1, whether or not all occur here.
        class_names: What each class is called, in the order of the labels; none where numbers say it all.

    Raises:
        DataError: There is no image, an image is out of range or not a number, or the labels or the names
            of the classes do not fit.

    >>> labels = torch.tensor([0, 1, 0])
    >>> dots = ImageSet(name="dots", images=torch.ones(3, 1, 2, 2), labels=labels, num_classes=2)
    >>> len(dots), len(dots.take(2)), dots.part(1, 3).labels
    (3, 2, tensor([1, 0]))
    """

    name: str
    images: Float[Tensor, "image channel height width"]
    labels: Int[Tensor, " image"]
    num_classes: int
    class_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_images(self.name, self.images)
        if self.labels.dtype != torch.int64 or self.labels.shape != (len(self.images),):
            raise DataError(
                f"the labels of '{self.name}' are {self.labels.dtype} of shape {tuple(self.labels.shape)}: "
                f"expected torch.int64 of shape ({len(self.images)},), one for each image"
            )
        first, last = int(self.labels.min()), int(self.labels.max())
        if first < 0 or last >= self.num_classes:
            raise DataError(
                f"the labels of '{self.name}' run from {first} to {last}: "
                f"expected 0 to {self.num_classes - 1}"
            )
        if self.class_names and len(self.class_names) != self.num_classes:
            raise DataError(
                f"'{self.name}' names {len(self.class_names)} classes: expected {self.num_classes}, one name "
                "for each, or none"
            )

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.images)

    def take(self, limit: int) -> "ImageSet":
        """Return the first `limit` images, or all where there are fewer.

        Raises:
            DataError: `limit` is below 1.
        """
        if limit < 1:
            raise DataError(f"cannot take {limit} images of '{self.name}': expected a limit of at least 1")
        return self.part(0, min(limit, len(self)))

    def part(self, first: int, last: int) -> "ImageSet":
        """Return the images from `first` up to but without `last`, sharing memory with this set.

        Raises:
            DataError: The range is empty or reaches beyond the set.
        """
        if not 0 <= first < last <= len(self):
            raise DataError(
                f"'{self.name}' has no part {first}:{last}: expected a range within 0:{len(self)}"
            )
        return replace(self, images=self.images[first:last], labels=self.labels[first:last])

    @property
    def digest(self) -> str:
        """SHA-256 of the content in hexadecimal; names do not enter."""
        return tensor_digest(self.images, self.labels, torch.tensor(self.num_classes))


def check_images(name: str, images: Tensor) -> None:
    """Refuse what is not at least one float32 image in [0, 1].

    Raises:
        DataError: It names `name` and what was found.
    """
    if images.dtype != torch.float32 or images.ndim != 4 or not images.numel():
        raise DataError(
            f"the images of '{name}' are {images.dtype} of shape {tuple(images.shape)}: expected "
            "torch.float32 of shape (image, channel, height, width), none of them 0"
        )
    low, high = (float(value) for value in images.aminmax())
    if not (low >= 0 and high <= 1):  # also true for a NaN
        raise DataError(f"the images of '{name}' have intensities from {low:g} to {high:g}: expected [0, 1]")


def tensor_digest(*tensors: Tensor) -> str:
    """Return the SHA-256, in hexadecimal, of the types, shapes and little-endian bytes of tensors."""
    digest = hashlib.sha256()
    for tensor in tensors:
        array = tensor.detach().cpu().numpy()
        array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        digest.update(f"{array.dtype.str} {tuple(tensor.shape)}\n".encode())
        digest.update(array.reshape(-1).data.cast("B"))
    return digest.hexdigest()
