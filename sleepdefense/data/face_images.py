"""The photographs of CelebA, from the zip archive or an unpacked folder, cropped to the face."""

import hashlib
import io
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from sleepdefense.errors import DataError

FACE_SIZE = 64
"""Height and width of an image as it is used, in pixels."""

CROPS = {(178, 218): (15, 35, 163, 183), (89, 109): (8, 17, 82, 91)}
"""Width and height of a photograph -> left, top, right, bottom of the square that is used.

The central 148 of 178x218 pixels, as papers on CelebA mostly do, and the same square at half the resolution.
"""

_RECIPE = "crop, then bilinear with antialiasing, to 64: 1"  # change it when the pixels change
_MAX_BYTES = 2**22  # of one JPEG file; the real ones have 3 to 30 kB


@dataclass(frozen=True, slots=True)
class FaceImages:
    """Photographs by name; nothing is decoded before it is asked for.

    Attributes:
        path: img_align_celeba.zip, whose names begin with "img_align_celeba/", or the folder of its files.

    Raises:
        DataError: From each method: the archive or an image cannot be read, or is missing.
    """

    path: Path

    def fingerprint(self, names: Sequence[str]) -> str:
        """Return what stands for the content of the images, without reading it.

        It is a SHA-256, in hexadecimal, of each name with the size and, in an archive, the CRC-32, in a
        folder, the time of change; and of how they are cropped.
        """
        digest = hashlib.sha256(_RECIPE.encode())
        with _reading(self.path):
            if self.path.is_dir():
                for name in names:
                    found = (self.path / name).stat()
                    digest.update(f"{name} {found.st_size} {found.st_mtime_ns}\n".encode())
            else:
                with zipfile.ZipFile(self.path) as archive:
                    for name in names:
                        entry = _entry(archive, name)
                        digest.update(f"{name} {entry.file_size} {entry.CRC:08x}\n".encode())
        return digest.hexdigest()

    def faces(self, names: Sequence[str]) -> Iterator[UInt8[np.ndarray, "3 64 64"]]:
        """Yield the face on each image, (channel, height, width), one at a time."""
        with _reading(self.path):
            if self.path.is_dir():
                for name in names:
                    _check_size(self.path / name, (self.path / name).stat().st_size)
                    yield _face((self.path / name).read_bytes(), self.path / name)
            else:
                with zipfile.ZipFile(self.path) as archive:
                    for name in names:
                        entry = _entry(archive, name)
                        _check_size(self.path / name, entry.file_size)
                        yield _face(archive.read(entry), self.path / name)


def _check_size(path: Path, size: int) -> None:
    """Refuse to take memory for what can be no photograph of CelebA."""
    if size > _MAX_BYTES:
        raise DataError(f"'{path}' has {size} bytes: expected a photograph, at most {_MAX_BYTES}")


def _face(content: bytes, path: Path) -> UInt8[np.ndarray, "3 64 64"]:
    """Decode one JPEG file and cut the face out."""
    try:
        with Image.open(io.BytesIO(content), formats=("JPEG",)) as image:
            if image.size not in CROPS:  # known before anything is decoded
                sizes = " or ".join(f"{width}x{height}" for width, height in CROPS)
                raise DataError(
                    f"'{path}' has {image.width}x{image.height} pixels: expected {sizes}, the aligned and "
                    "cropped images of CelebA at their own or at half resolution"
                )
            square = image.convert("RGB").crop(CROPS[image.size])
    except DataError:
        raise
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"'{path}' is no JPEG image, or is damaged: {error}") from error
    small = square.resize((FACE_SIZE, FACE_SIZE), Image.Resampling.BILINEAR)
    return np.asarray(small, dtype=np.uint8).transpose(2, 0, 1)


def _entry(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    """Return the entry of an image."""
    try:
        return archive.getinfo(f"img_align_celeba/{name}")
    except KeyError as error:
        raise DataError(
            f"'{archive.filename}' lacks 'img_align_celeba/{name}', which the partition lists"
        ) from error


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn what reading may throw into one error."""
    try:
        yield
    except FileNotFoundError as error:
        raise DataError(
            f"'{path}' lacks '{Path(str(error.filename)).name}', which the partition lists"
        ) from error
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError) as error:
        raise DataError(f"cannot read '{path}': {error}") from error
