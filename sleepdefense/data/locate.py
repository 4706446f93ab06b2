"""Where the files of a data set are on this machine."""

import os
from dataclasses import dataclass
from pathlib import Path

import pooch

from sleepdefense.data.catalogue import DATASETS, Dataset
from sleepdefense.data.celeba_tables import OFFICIAL_SIZES, PARTITION_FILE, read_partition
from sleepdefense.errors import DataError

DATA_VARIABLE = "SLEEPDEFENSE_DATA"
"""Environment variable that names the folder with the data sets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetRow:
    """One line of the list of data sets: facts, and where it is now."""

    name: str
    train: int
    test: int
    shape: tuple[int, int, int]
    num_classes: int
    licence: str
    origin: str
    where: str


def cache_folder(dataset: Dataset) -> Path:
    """Return the folder, in the user's cache, into which a data set is downloaded."""
    return Path(pooch.os_cache("sleepdefense")) / dataset.folders[0]


def find_folder(dataset: Dataset, data_dir: Path | None) -> Path | None:
    """Return the folder that holds all files of a data set.

    Args:
        dataset: One that is not embedded.
        data_dir: Where to look, and nowhere else. None looks into the folder that the environment
            variable SLEEPDEFENSE_DATA names, then into the user's cache.

    Returns:
        The folder, or None where it must be downloaded first.

    Raises:
        DataError: `data_dir` was given and lacks the data set, or the environment variable names
            something that is no folder.
    """
    if data_dir is not None:
        folder = _search(dataset, data_dir)
        if folder is None:
            raise DataError(
                f"data set '{dataset.name}' is not in '{data_dir}': {_missing(dataset, data_dir)}"
            )
        return folder
    named = os.environ.get(DATA_VARIABLE)
    if named:
        if not Path(named).expanduser().is_dir():
            raise DataError(f"{DATA_VARIABLE} names '{named}', which is no folder: correct or unset it")
        folder = _search(dataset, Path(named))
        if folder is not None:
            return folder
    cache = cache_folder(dataset)
    return cache if not missing_files(dataset, cache) else None


def find_file(folder: Path, name: str) -> Path | None:
    """Return the file `name` in a folder, its gzip twin, or the folder that a zip archive was unpacked to."""
    plain = folder / name
    if plain.is_file():
        return plain
    if plain.suffix == ".zip":
        return plain.with_suffix("") if plain.with_suffix("").is_dir() else None
    twin = folder / f"{name}.gz"
    return twin if twin.is_file() else None


def missing_files(dataset: Dataset, folder: Path) -> list[str]:
    """Return the names of the files of a data set that a folder lacks."""
    return [name for name in dataset.files if find_file(folder, name) is None]


def by_hand(dataset: Dataset, folder: Path) -> str:
    """Say how to provide a data set without a network."""
    origin = f"Get it from {dataset.page} ({dataset.licence}). " if dataset.page else ""
    return (
        f"{origin}Put {', '.join(dataset.files)} ({dataset.allowed_forms}) into '{folder}', or set "
        f"{DATA_VARIABLE} to a folder that holds them in '{dataset.folders[0]}'"
    )


def describe_datasets(data_dir: Path | None = None) -> list[DatasetRow]:
    """List every data set, and where it is found now.

    Args:
        data_dir: As in `load_data`.

    >>> [row.where for row in describe_datasets() if row.name == "digits"]
    ['embedded']
    """
    return [
        DatasetRow(
            name=dataset.name,
            train=dataset.train,
            test=dataset.test,
            shape=dataset.shape,
            num_classes=dataset.num_classes,
            licence=dataset.licence,
            origin=dataset.origin,
            where=_where(dataset, data_dir),
        )
        for dataset in DATASETS.values()
    ]


def _where(dataset: Dataset, data_dir: Path | None) -> str:
    """Say in words where a data set is."""
    if dataset.is_embedded:
        return "embedded"
    try:
        folder = find_folder(dataset, data_dir)
    except DataError as error:
        return f"not here: {error}"
    if folder is None:
        cache = cache_folder(dataset)
        return (
            f"not here; would be downloaded to {cache}"
            if dataset.mirrors
            else f"not here. {by_hand(dataset, cache)}"
        )
    return f"{folder}{_own_split(dataset, folder)}"


def _own_split(dataset: Dataset, folder: Path) -> str:
    """Warn of a part of a data set: figures measured on it are not those of the whole."""
    if not dataset.attributes:
        return ""
    path = find_file(folder, PARTITION_FILE)
    assert path is not None  # or the folder would not have been found
    try:
        sizes = {part: len(names) for part, names in read_partition(path).items()}
    except DataError as error:
        return f" ({error})"
    if sizes == OFFICIAL_SIZES:
        return ""
    return (
        f" (a part of it with a split of its own: {sizes['train']} training, {sizes['validation']} "
        f"validation and {sizes['test']} test images; not comparable with published figures)"
    )


def _search(dataset: Dataset, data_dir: Path) -> Path | None:
    """Return the first folder inside `data_dir` that holds all files."""
    folders = (data_dir.expanduser() / name for name in dataset.folders)
    return next((folder for folder in folders if not missing_files(dataset, folder)), None)


def _missing(dataset: Dataset, data_dir: Path) -> str:
    """Say what a data folder lacks."""
    for name in dataset.folders:
        if (data_dir.expanduser() / name).is_dir():
            lacks = missing_files(dataset, data_dir.expanduser() / name)
            return f"its folder '{name}' lacks {', '.join(lacks)} ({dataset.allowed_forms})"
    folders = " or ".join(f"'{name}'" for name in dataset.folders)
    return f"expected a folder {folders} with {', '.join(dataset.files)} ({dataset.allowed_forms})"
