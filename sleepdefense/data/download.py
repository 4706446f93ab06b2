"""Fetching a data set from its public mirrors, trusting none of them."""

import os
import secrets
from pathlib import Path

import pooch

from sleepdefense.data.catalogue import Dataset
from sleepdefense.data.idx import read_idx
from sleepdefense.data.locate import by_hand, find_file
from sleepdefense.errors import DataError

_TIMEOUT = 20  # seconds without an answer, before the next mirror is tried


def fetch_dataset(dataset: Dataset, folder: Path) -> None:
    """Download the files that a folder lacks, each checked before it takes its name.

    Args:
        dataset: One that has mirrors.
        folder: Where the files go; made if it is not there.

    Raises:
        DataError: No mirror gave a file with the right content, or the folder cannot be written to.
            The message says where to put the files by hand.
    """
    for name in dataset.md5:
        if find_file(folder, name) is not None:
            continue
        reasons = []
        for mirror in dataset.mirrors:
            try:
                _fetch(f"{mirror}{name}.gz", folder / f"{name}.gz", dataset.md5[name])
                break
            except (DataError, OSError, ValueError) as error:  # requests' errors are among these
                reasons.append(f"{mirror}: {_first_line(error)}")
        else:
            raise DataError(
                f"data set '{dataset.name}' is not here, and '{name}.gz' could not be downloaded "
                f"({'; '.join(reasons)}). {by_hand(dataset, folder)}"
            )


def _fetch(url: str, path: Path, md5: str) -> None:
    """Download one file under a temporary name, check it, and let it take its place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        pooch.HTTPDownloader(timeout=_TIMEOUT)(url, str(temporary), None)
        read_idx(temporary, num_axes=3 if "idx3" in path.name else 1, md5=md5)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _first_line(error: BaseException) -> str:
    """Return the first line of an error's reason or message, or its type where it has none."""
    cause = getattr(error.args[0], "reason", error) if error.args else error  # requests wraps urllib3's
    return (str(cause).splitlines() or [type(error).__name__])[0]
