"""The text files of CelebA: attributes, partition and identities, read strictly.

list_attr_celeba.txt: the number of images; the names of the attributes; then a line for each image, its file
name and 1 or -1 for each attribute. list_eval_partition.txt and identity_CelebA.txt: a file name and a number
in each line. Values are separated by any blanks, lines end in LF or CRLF.
"""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sleepdefense.errors import DataError

ATTRIBUTE_FILE = "list_attr_celeba.txt"
PARTITION_FILE = "list_eval_partition.txt"
IDENTITY_FILE = "identity_CelebA.txt"

PARTS = {"0": "train", "1": "validation", "2": "test"}
"""What the numbers of the partition mean."""

OFFICIAL_SIZES = {"train": 162_770, "validation": 19_867, "test": 19_962}
"""Images in each part of the whole data set."""


def read_partition(path: Path) -> dict[str, tuple[str, ...]]:
    """Read which image is in which part.

    Args:
        path: list_eval_partition.txt, or its gzip twin.

    Returns:
        "train", "validation" and "test", each with its file names in the order of the file.

    Raises:
        DataError: The file cannot be read or is no such list, or a file name comes twice.
    """
    parts: dict[str, list[str]] = {part: [] for part in PARTS.values()}
    for name, number in _pairs(path).items():
        if number not in PARTS:
            raise DataError(
                f"'{path}' puts '{name}' into part '{number}': expected 0 (training), 1 (validation) or "
                "2 (test)"
            )
        parts[PARTS[number]].append(name)
    return {part: tuple(names) for part, names in parts.items()}


def read_identities(path: Path) -> dict[str, str]:
    """Read who is on which image: file name -> number of the person.

    Raises:
        DataError: The file cannot be read or is no such list, or a file name comes twice.
    """
    return _pairs(path)


def read_attributes(path: Path, wanted: tuple[str, ...], images: tuple[str, ...]) -> NDArray[np.bool_]:
    """Read some attributes of some images.

    Args:
        path: list_attr_celeba.txt, or its gzip twin.
        wanted: Names of attributes.
        images: File names.

    Returns:
        (image, attribute), true for 1, in the order asked for.

    Raises:
        DataError: The file cannot be read or is no such table, or lacks an attribute or an image.
    """
    lines = _lines(path)
    count = next(lines, ["nothing"])
    names = next(lines, [])
    if len(count) != 1 or not count[0].isdecimal() or not names:
        raise DataError(
            f"'{path}' begins with '{' '.join(count)[:40]}': expected the number of images, and in the next "
            "line the names of the attributes"
        )
    for attribute in wanted:
        if attribute not in names:
            raise DataError(f"'{path}' has no attribute '{attribute}': expected one of {', '.join(names)}")
    columns = [names.index(attribute) + 1 for attribute in wanted]
    row_of = {name: row for row, name in enumerate(images)}
    table = np.zeros((len(images), len(wanted)), dtype=np.bool_)
    num_lines, found = 0, set()
    for fields in lines:
        num_lines += 1
        if len(fields) != len(names) + 1:
            raise DataError(
                f"'{path}' has {len(fields)} values for '{fields[0]}': expected a file name and "
                f"{len(names)} attributes"
            )
        row = row_of.get(fields[0])
        if row is None:
            continue
        found.add(row)
        for place, column in enumerate(columns):
            if fields[column] not in ("1", "-1"):
                raise DataError(
                    f"'{path}' has '{fields[column]}' for '{wanted[place]}' of '{fields[0]}': "
                    "expected 1 or -1"
                )
            table[row, place] = fields[column] == "1"
    if num_lines != int(count[0]):
        raise DataError(f"'{path}' announces {count[0]} images and has lines for {num_lines}: it is damaged")
    if len(found) < len(images):
        missing = next(name for row, name in enumerate(images) if row not in found)
        raise DataError(
            f"'{path}' lacks '{missing}', which the partition lists: the files do not belong together"
        )
    return table


def _pairs(path: Path) -> dict[str, str]:
    """Read a file of two columns, the first of which never repeats."""
    pairs: dict[str, str] = {}
    for fields in _lines(path):
        if len(fields) != 2 or fields[0] in pairs:
            how = "again" if fields[0] in pairs else "which is no file name and one number"
            raise DataError(
                f"'{path}' has the line '{' '.join(fields)[:60]}', {how}: expected each file name "
                "once, with a number"
            )
        pairs[fields[0]] = fields[1]
    if not pairs:
        raise DataError(f"'{path}' is empty: expected a file name and a number in each line")
    return pairs


def _lines(path: Path) -> Iterator[list[str]]:
    """Yield the values of each line that is not blank."""
    try:
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as stream:
            for line in stream:
                fields = line.split()
                if fields:
                    yield fields
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise DataError(f"cannot read '{path}': {error}") from error
