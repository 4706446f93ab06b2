"""The IDX format of MNIST and its relatives, plain or gzip, read strictly.

A file is two zero bytes, one byte for the type (8: unsigned byte), one for the number of axes, the length of
each axis as a big-endian 32-bit integer, then the values, and nothing behind them.
"""

import gzip
import hashlib
import math
import struct
import zlib
from io import BufferedIOBase
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sleepdefense.errors import DataError

MAX_VALUES = 2**30
"""Largest content that is read, in bytes; MNIST has 47 million. A damaged header may declare any number."""

_CHUNK = 2**20


def read_idx(path: Path, *, num_axes: int, md5: str | None = None) -> NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes.

    Args:
        path: The file; whether it is compressed is seen from its content, not from its name.
        num_axes: How many axes it must have: 3 for images, 1 for labels.
        md5: Checksum that the uncompressed content must have, in hexadecimal; None accepts any.

    Returns:
        The values, one axis for each in the file.

    Raises:
        DataError: The file cannot be read, is no such IDX file, is truncated, has bytes too many, or
            has another checksum.
    """
    try:
        with path.open("rb") as plain:
            is_gzip = plain.read(2) == b"\x1f\x8b"
            plain.seek(0)
            if not is_gzip:
                return _read(plain, path, num_axes, md5)
            with gzip.GzipFile(fileobj=plain) as unpacked:
                return _read(unpacked, path, num_axes, md5)
    except EOFError as error:
        raise DataError(f"'{path}' is truncated: its gzip stream ends too early") from error
    except (OSError, zlib.error) as error:  # the first includes gzip.BadGzipFile
        raise DataError(f"cannot read '{path}': {error}") from error


def _read(stream: BufferedIOBase, path: Path, num_axes: int, md5: str | None) -> NDArray[np.uint8]:
    """Read from the uncompressed stream of `path`."""
    header = stream.read(4 * (1 + num_axes))
    magic = bytes([0, 0, 8, num_axes])
    if header[:4] != magic:
        raise DataError(
            f"'{path}' begins with the magic number 0x{header[:4].hex()}: expected 0x{magic.hex()}, "
            f"an IDX file of unsigned bytes with {num_axes} axes"
        )
    if len(header) != 4 * (1 + num_axes):
        raise DataError(f"'{path}' is truncated: it ends within its header")
    shape = struct.unpack(f">{num_axes}I", header[4:])
    size = math.prod(shape)
    if not 1 <= size <= MAX_VALUES:
        raise DataError(f"'{path}' declares {size} values of shape {shape}: expected 1 to {MAX_VALUES}")
    content = _read_up_to(stream, size + 1)
    if len(content) != size:
        how = "is truncated" if len(content) < size else "goes on behind its end"
        raise DataError(f"'{path}' {how}: it declares {size} values of shape {shape}")
    if md5 is not None:
        found = hashlib.md5(header, usedforsecurity=False)
        found.update(content)
        if found.hexdigest() != md5:
            raise DataError(
                f"'{path}' has a wrong checksum: the md5 of its uncompressed content is {found.hexdigest()}, "
                f"expected {md5}. It is damaged, or another data set: remove it"
            )
    return np.frombuffer(content, np.uint8).reshape(shape)


def _read_up_to(stream: BufferedIOBase, size: int) -> bytearray:
    """Read at most `size` bytes, taking memory only for what is really there."""
    content = bytearray()
    while len(content) < size:
        chunk = stream.read(min(_CHUNK, size - len(content)))
        if not chunk:
            break
        content += chunk
    return content
