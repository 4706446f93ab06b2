"""Decoded images in a file, so that they are decoded once: a NumPy array (.npy) that only grows.

A file that is not exactly what this module writes is made anew; nothing in it is ever run or parsed.
"""

import contextlib
import io
import math
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sleepdefense.errors import DataError

_COPIED_AT_ONCE = 1024  # images


def cached_images(
    path: Path,
    count: int,
    shape: tuple[int, ...],
    decode: Callable[[int, int], Iterator[NDArray[np.uint8]]],
) -> NDArray[np.uint8]:
    """Return the first images of a sequence, decoding those that the file does not hold yet.

    Args:
        path: The file. Its name must stand for the content of the sequence.
        count: How many images, >= 1.
        shape: Of one image.
        decode: Yields the images from the first up to but without the second number.

    Returns:
        (count, *shape), mapped from the file: only what is looked at takes memory.

    Raises:
        DataError: The file cannot be written, or `decode` raises it; the file then stays as it was.
    """
    images = _read(path, shape)
    if len(images) < count:
        _write(path, count, shape, images, decode)
        images = _read(path, shape)
    return images[:count]


def _write(
    path: Path,
    count: int,
    shape: tuple[int, ...],
    known: NDArray[np.uint8],
    decode: Callable[[int, int], Iterator[NDArray[np.uint8]]],
) -> None:
    """Write known and new images under a temporary name, one by one, and let the file take its place."""
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as stream:
            stream.write(_header(count, shape))
            for first in range(0, len(known), _COPIED_AT_ONCE):
                stream.write(known[first : first + _COPIED_AT_ONCE].tobytes())
            for image in decode(len(known), count):
                stream.write(image.tobytes())
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise DataError(
            f"cannot keep decoded images in '{path.parent}': {error}. Make room or make it writable, or set "
            "XDG_CACHE_HOME to another folder"
        ) from error
    finally:
        with contextlib.suppress(OSError):  # there is no such file, as a rule
            temporary.unlink()


def _read(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Map the images of a file; there are none in a file that is missing, damaged or of another shape."""
    nothing = np.zeros((0, *shape), dtype=np.uint8)
    length = len(_header(1, shape))
    try:
        count, rest = divmod(path.stat().st_size - length, math.prod(shape))
        with path.open("rb") as stream:
            begin = stream.read(length)
    except OSError:
        return nothing
    if count < 1 or rest or begin != _header(count, shape):
        return nothing
    return np.memmap(path, np.uint8, "r", offset=length, shape=(count, *shape))


def _header(count: int, shape: tuple[int, ...]) -> bytes:
    """Return how an .npy file of so many images begins; NumPy pads it to one length for all counts."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        stream, {"descr": "|u1", "fortran_order": False, "shape": (count, *shape)}
    )
    return stream.getvalue()
