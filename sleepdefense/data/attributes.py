"""Several yes-or-no questions about one image, and their answers as one class out of 2**attributes.

Attacks, training and evaluation know one class an image. The joint class of its attributes is such a class:
cross-entropy over the joint classes trains all attributes at once, an attack succeeds when it changes any of
them, and plain accuracy is the share of images with every attribute right.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sleepdefense.data.image_set import ImageSet
from sleepdefense.errors import DataError

MAX_ATTRIBUTES = 12
"""Most attributes of a joint class: 4,096 classes."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AttributeSet:
    """Images with their attributes, always in the same order.

    Attributes:
        name: Data set and split, as in "celeba-4/train".
        images: (image, channel, height, width), float32, in [0, 1].
        attributes: (image, attribute), true where the image has the attribute.
        names: What each attribute is called, 1 to 12 different names.

    Raises:
        DataError: The parts do not fit each other. The images are checked by `joint`.

    >>> faces = AttributeSet(
    ...     name="faces",
    ...     images=torch.ones(3, 1, 2, 2),
    ...     attributes=torch.tensor([[False, False], [True, False], [True, True]]),
    ...     names=("Young", "Smiling"),
    ... )
    >>> faces.joint().labels, faces.joint().class_names
    (tensor([0, 1, 3]), ('none', 'Young', 'Smiling', 'Young+Smiling'))
    """

    name: str
    images: Float[Tensor, "image channel height width"]
    attributes: Bool[Tensor, "image attribute"]
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        check_names(self.name, self.names)
        expected = (len(self.images), len(self.names))
        if self.attributes.dtype != torch.bool or self.attributes.shape != expected:
            raise DataError(
                f"the attributes of '{self.name}' are {self.attributes.dtype} of shape "
                f"{tuple(self.attributes.shape)}: expected torch.bool of shape {expected}"
            )

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.images)

    def joint(self) -> ImageSet:
        """Return the same images, each with the joint class of its attributes: attribute i counts 2**i.

        A class is named after the attributes that its images have, joined by "+".
        """
        weight = 2 ** torch.arange(len(self.names))
        return ImageSet(
            name=self.name,
            images=self.images,
            labels=(self.attributes.to(torch.int64) * weight).sum(dim=1),
            num_classes=2 ** len(self.names),
            class_names=tuple(
                "+".join(name for i, name in enumerate(self.names) if label >> i & 1) or "none"
                for label in range(2 ** len(self.names))
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeAccuracy:
    """How often the attributes are right, as fractions in [0, 1].

    Attributes:
        names: The attributes.
        each: Share of the images with this attribute right, one for each name.
        mean: Mean of `each`: what papers on multi-label classification mostly print.
        exact: Share of the images with every attribute right: the accuracy of the joint class, never above
            any of `each`.
    """

    names: tuple[str, ...]
    each: tuple[float, ...]
    mean: float
    exact: float


def attribute_accuracy(
    predicted: Int[np.ndarray, "..."], labels: Int[np.ndarray, "..."], names: tuple[str, ...]
) -> AttributeAccuracy:
    """Compare predicted with true joint classes, attribute by attribute.

    Args:
        predicted: Joint class predicted for each image, (image,), in [0, 2**attributes).
        labels: True joint class of each image, (image,), in the same range.
        names: The attributes, in the order of `AttributeSet.names`.

    Returns:
        The accuracies.

    Raises:
        DataError: There is no image, the lengths differ, or a class is out of range.

    >>> found = attribute_accuracy(np.array([0, 1, 2, 3]), np.array([0, 1, 3, 1]), ("Young", "Smiling"))
    >>> found.each, found.mean, found.exact
    ((0.75, 0.75), 0.75, 0.5)
    """
    check_names("predicted", names)
    if predicted.shape != labels.shape or not labels.size:
        raise DataError(
            f"there are {predicted.size} predicted and {labels.size} true joint classes: "
            "expected as many, at least one"
        )
    for what, classes in (("predicted", predicted), ("true", labels)):
        low, high = int(classes.min()), int(classes.max())
        if low < 0 or high >= 2 ** len(names):
            raise DataError(
                f"the {what} joint classes run from {low} to {high}: expected 0 to {2 ** len(names) - 1}, "
                f"for {len(names)} attributes"
            )
    wrong = np.bitwise_xor(predicted.astype(np.int64), labels.astype(np.int64))
    each = tuple(float(np.mean(wrong >> i & 1 == 0)) for i in range(len(names)))
    return AttributeAccuracy(
        names=names, each=each, mean=sum(each) / len(each), exact=float(np.mean(wrong == 0))
    )


def check_names(owner: str, names: tuple[str, ...]) -> None:
    """Refuse no name, too many names, and names that come twice.

    Raises:
        DataError: It names `owner`.
    """
    if not 1 <= len(names) <= MAX_ATTRIBUTES or len(set(names)) != len(names):
        raise DataError(
            f"the attributes of '{owner}' are {', '.join(names) or 'none'}: expected 1 to {MAX_ATTRIBUTES} "
            "different ones"
        )
