"""Loading a data set by name."""

from dataclasses import replace
from pathlib import Path

import torch

from sleepdefense.data.catalogue import SPLITS, Dataset, find_dataset
from sleepdefense.data.celeba import load_celeba
from sleepdefense.data.digits import load_digits
from sleepdefense.data.download import fetch_dataset
from sleepdefense.data.idx import read_idx
from sleepdefense.data.image_set import ImageSet
from sleepdefense.data.locate import by_hand, cache_folder, find_file, find_folder
from sleepdefense.data.pairs import to_intensities
from sleepdefense.errors import DataError


def load_data(
    name: str,
    *,
    data_dir: Path | str | None = None,
    limit: int | None = None,
    test_limit: int | None = None,
    download: bool = True,
    native: bool = False,
) -> tuple[ImageSet, ImageSet]:
    """Load a data set: from this package, from files on this machine, or from the network.

    Args:
        name: A key of `DATASETS`.
        data_dir: Folder that holds a folder `mnist`, `fashion-mnist` or `fashion` with the IDX files, or
            `celeba`; the only place that is looked at then. None looks into the folder that the environment
            variable SLEEPDEFENSE_DATA names, then into the user's cache, and downloads what is in neither.
            CelebA is never downloaded: its owners give it to researchers who ask.
        limit: Use only the first `limit` training images, >= 1; None uses all.
        test_limit: The same for the test images.
        download: Whether files may be downloaded into the user's cache.
        native: Give the embedded digits at their own 8x8 pixels. The others are as they are.

    Returns:
        Training and test set, always in the same order.

    Raises:
        DataError: The name is unknown, a limit is below 1, files are missing or damaged, or a download
            failed.

    >>> train, test = load_data("digits", limit=100)
    >>> train.name, len(train), len(test), tuple(train.images.shape)
    ('digits/train', 100, 360, (100, 1, 28, 28))
    """
    dataset = find_dataset(name)
    data_dir = None if data_dir is None else Path(data_dir)
    for what, count in (("limit", limit), ("test_limit", test_limit)):
        if count is not None and count < 1:
            raise DataError(f"{what} is {count}: expected at least 1, or none for all images")
    if dataset.is_embedded:
        train, test = load_digits(native=native)
        return train if limit is None else train.take(limit), test if test_limit is None else test.take(
            test_limit
        )
    if dataset.attributes:
        return _load_faces(dataset, data_dir, limit, test_limit)
    folder = find_folder(dataset, data_dir)
    if folder is None:
        folder = cache_folder(dataset)
        if not download:
            raise DataError(f"data set '{name}' is not here. {by_hand(dataset, folder)}")
        fetch_dataset(dataset, folder)
    return _read_split(dataset, folder, "train", limit), _read_split(dataset, folder, "test", test_limit)


def _load_faces(
    dataset: Dataset, data_dir: Path | None, limit: int | None, test_limit: int | None
) -> tuple[ImageSet, ImageSet]:
    """Read photographs, and make the joint class of their attributes the label."""
    train, test = (
        part.joint()
        for part in load_celeba(
            dataset.attributes, name=dataset.name, data_dir=data_dir, limit=limit, test_limit=test_limit
        )
    )
    if dataset.class_names:
        train = replace(train, class_names=dataset.class_names)
        test = replace(test, class_names=dataset.class_names)
    return train, test


def _read_split(dataset: Dataset, folder: Path, split: str, limit: int | None) -> ImageSet:
    """Read and check both files of a split, and turn the first `limit` images into floats."""
    levels, labels = (
        read_idx(_path(dataset, folder, name), num_axes=num_axes, md5=dataset.md5[name])
        for name, num_axes in zip(SPLITS[split], (3, 1), strict=True)
    )
    if len(levels) != len(labels):
        raise DataError(
            f"'{folder}' has {len(levels)} {split} images and {len(labels)} labels: expected as many"
        )
    return ImageSet(
        name=f"{dataset.name}/{split}",
        images=to_intensities(torch.from_numpy(levels[:limit, None])),
        labels=torch.from_numpy(labels[:limit]).to(torch.int64),
        num_classes=dataset.num_classes,
    )


def _path(dataset: Dataset, folder: Path, name: str) -> Path:
    """Return the path of a file that must be there."""
    path = find_file(folder, name)
    if path is None:
        raise DataError(f"'{folder}' lacks '{name}'. {by_hand(dataset, folder)}")
    return path
