"""CelebA: faces of celebrities at 64x64 pixels, with 40 yes-or-no attributes."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from sleepdefense.data.attributes import AttributeSet, check_names
from sleepdefense.data.catalogue import CELEBA
from sleepdefense.data.celeba_tables import (
    ATTRIBUTE_FILE,
    IDENTITY_FILE,
    OFFICIAL_SIZES,
    PARTITION_FILE,
    read_attributes,
    read_identities,
    read_partition,
)
from sleepdefense.data.face_images import FACE_SIZE, FaceImages
from sleepdefense.data.image_cache import cached_images
from sleepdefense.data.locate import by_hand, cache_folder, find_file, find_folder
from sleepdefense.data.pairs import to_intensities
from sleepdefense.errors import DataError

_SHAPE = (3, FACE_SIZE, FACE_SIZE)
_CONVERTED_AT_ONCE = 1024  # images


def load_celeba(
    attributes: tuple[str, ...] = CELEBA.attributes,
    *,
    name: str = CELEBA.name,
    data_dir: Path | None = None,
    limit: int | None = None,
    test_limit: int | None = None,
) -> tuple[AttributeSet, AttributeSet]:
    """Load faces with attributes of your choice; `load_data("celeba")` gives them with their gender.

    Reads the files as their owners give them away: img_align_celeba.zip, or the folder img_align_celeba that
    it unpacks to, list_attr_celeba.txt and list_eval_partition.txt, in a folder "celeba". Images of
    178x218 pixels are used, or of 89x109, half the resolution; the central square of 148 (74) pixels
    is scaled to 64x64. If identity_CelebA.txt is there too, nobody may be in both training and test set.

    Decoded images are kept in the user's cache, 12 kB each: 86 and 24 MB for 7,026 and 1,979 images, 2.2 GB
    for the whole of CelebA. Only those that a limit asks for are decoded. Loaded, they are float32: 49 kB
    each, so that the whole training set takes 8 GB of memory.

    Args:
        attributes: Names of columns of list_attr_celeba.txt, such as "Male".
        name: What the sets are called: "celeba/train". A partition that is not the official one makes
            it "celeba-part/train", in every table, because figures measured on it are not
            comparable with published ones.
        data_dir: As in `load_data`.
        limit: As in `load_data`.
        test_limit: As in `load_data`.

    Returns:
        Training and test set, in the order of the partition. The validation part is not used.

    Raises:
        DataError: Files are missing, damaged or do not belong together, an attribute is unknown, a limit is
            below 1, or the cache cannot be written to.
    """
    check_names(name, attributes)
    for what, count in (("limit", limit), ("test_limit", test_limit)):
        if count is not None and count < 1:
            raise DataError(f"{what} is {count}: expected at least 1, or none for all images")
    folder = find_folder(CELEBA, data_dir)
    if folder is None:
        raise DataError(f"data set '{name}' is not here. {by_hand(CELEBA, cache_folder(CELEBA))}")
    archive, table, partition = (
        _path(folder, file) for file in ("img_align_celeba.zip", ATTRIBUTE_FILE, PARTITION_FILE)
    )
    parts = read_partition(partition)
    for part in ("train", "test"):
        if not parts[part]:
            raise DataError(f"'{partition}' puts no image into the {part} part: expected at least one")
    _check_identities(folder, parts)
    if {part: len(names) for part, names in parts.items()} != OFFICIAL_SIZES:
        name = f"{name}-part"
    images = FaceImages(archive)
    train, test = (
        _read_part(f"{name}/{part}", images, parts[part], table, attributes, count)
        for part, count in (("train", limit), ("test", test_limit))
    )
    return train, test


def _read_part(
    name: str,
    images: FaceImages,
    names: tuple[str, ...],
    table: Path,
    attributes: tuple[str, ...],
    limit: int | None,
) -> AttributeSet:
    """Read the first images of a part, and their attributes."""
    chosen = names[:limit]
    answers = read_attributes(table, attributes, chosen)
    path = cache_folder(CELEBA) / f"faces-{FACE_SIZE}-{images.fingerprint(names)[:32]}.npy"
    levels = cached_images(path, len(chosen), _SHAPE, lambda first, last: images.faces(names[first:last]))
    return AttributeSet(
        name=name,
        images=_intensities(levels),
        attributes=torch.from_numpy(answers),
        names=attributes,
    )


def _intensities(levels: NDArray[np.uint8]) -> Float[Tensor, "image 3 64 64"]:
    """Turn 8-bit levels into floats, a part at a time."""
    images = torch.empty(levels.shape, dtype=torch.float32)
    for first in range(0, len(levels), _CONVERTED_AT_ONCE):
        part = np.array(levels[first : first + _CONVERTED_AT_ONCE])
        images[first : first + len(part)] = to_intensities(torch.from_numpy(part))
    return images


def _check_identities(folder: Path, parts: dict[str, tuple[str, ...]]) -> None:
    """Refuse a split whose test set shows people of the training set, where it is known who they are."""
    path = find_file(folder, IDENTITY_FILE)
    if path is None:
        return
    identity_of = read_identities(path)
    people = {}
    for part in ("train", "test"):
        unknown = next((name for name in parts[part] if name not in identity_of), None)
        if unknown is not None:
            raise DataError(
                f"'{path}' lacks '{unknown}', which the partition lists: remove it or complete it"
            )
        people[part] = {identity_of[name] for name in parts[part]}
    both = people["train"] & people["test"]
    if both:
        raise DataError(
            f"{len(both)} people of '{path}' are in the training and in the test part of '{PARTITION_FILE}': "
            "expected none, or accuracy is measured on known faces. Correct the partition, or remove "
            f"'{IDENTITY_FILE}' to load it as it is"
        )


def _path(folder: Path, name: str) -> Path:
    """Return the path of a file that must be there."""
    path = find_file(folder, name)
    if path is None:
        raise DataError(f"'{folder}' lacks '{name}'. {by_hand(CELEBA, folder)}")
    return path
