"""Checkpoints: named arrays and JSON settings in one HDF5 file that is never trusted.

A file begins with a seal of 512 bytes (HDF5's user block): format version, size, and the SHA-256 of all bytes
behind it. The version is compared first, the checksum second, so damage is noticed before anything is
parsed. A seal can be forged, though, and a forged HDF5 tree can make the HDF5 library loop forever (seen with
HDF5 2.0). So the file ends with an index in JSON, which says where the numbers of each array lie; we read by
the index alone. The HDF5 part is for everybody else: any HDF5 reader finds the same arrays and settings.

The format is written down in docs/checkpoint-format.md.
"""

import hashlib
import json
import math
import os
import re
import secrets
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from sleepdefense.errors import CheckpointError

FORMAT_VERSION = 1
KINDS = ("awake", "spiking", "training", "sleep", "pairs", "results")

_SEAL_BYTES = 512  # the smallest user block that HDF5 knows
_MAGIC = b"sleepdefense checkpoint\n"
_VERSION = re.compile(rb"format ([0-9]{1,9})\n")
_SEAL = re.compile(
    _MAGIC + rb"format ([0-9]{1,9})\nsize ([0-9]{1,18})\nindex ([0-9]{1,18})\nsha256 ([0-9a-f]{64})\n\0*"
)
_MAX_DEPTH = 16  # of "/" in the name of an array
_MAX_NAME = 1000  # characters in the name of an array
_MAX_AXES = 32  # of an array, as many as HDF5 knows
_MAX_INDEX = 2**24  # bytes; parsed JSON can take twenty times its size in memory
_DTYPES = {
    np.dtype(code).name: np.dtype(code)
    for code in ("?", "<i1", "<i2", "<i4", "<i8", "<u1", "<u2", "<u4", "<u8", "<f4", "<f8")
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Checkpoint:
    """What one file holds.

    Attributes:
        kind: What the content means: one of `KINDS`.
        arrays: Named arrays, booleans, integers of 8 to 64 bits, or floats of 32 or 64 bits. A "/" in a
            name is a group in the file, so "a" and "a/b" cannot both be there.
        settings: What is needed to use the arrays again, such as the model's name; JSON values.
        provenance: Where it comes from: command, seed, versions, digests; JSON values. No dates: the
            same work gives the same bytes.

    Raises:
        CheckpointError: A kind, a name or a type of array is none of these.
    """

    kind: str
    arrays: dict[str, NDArray[Any]]
    settings: dict[str, Any]
    provenance: dict[str, Any]

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise CheckpointError(
                f"unknown kind of checkpoint '{self.kind}': expected one of {', '.join(KINDS)}"
            )
        for name, array in self.arrays.items():
            _check_name(name, self.arrays)
            if not isinstance(array, np.ndarray) or array.dtype.name not in _DTYPES:
                what = getattr(array, "dtype", type(array).__name__)
                raise CheckpointError(
                    f"array '{name}' is of type {what}: expected bool, integer, float32 or float64"
                )


def save_checkpoint(path: Path | str, checkpoint: Checkpoint, *, force: bool = True) -> str:
    """Write a checkpoint so that the file is either complete or not there.

    The bytes go to a temporary file in the same folder, reach the disk, and take the name `path` in one
    step. Equal content gives equal bytes.

    Args:
        path: The file to write. Its folder must exist.
        checkpoint: The content. In its settings, tuples come back as lists and all keys as strings.
        force: Replace a file that is there; otherwise that is an error.

    Returns:
        The SHA-256 of the file, in hexadecimal: `file_digest(path)`.

    Raises:
        CheckpointError: The file is there and `force` is false, its folder cannot be written to, or
            the settings or the provenance are no JSON, or take more than 16 MiB.

    >>> import tempfile
    >>> one = Checkpoint(kind="results", arrays={"distance": np.ones(3)}, settings={"n": 3}, provenance={})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     digest = save_checkpoint(Path(folder) / "one.h5", one)
    ...     load_checkpoint(Path(folder) / "one.h5", kind="results").arrays["distance"]
    array([1., 1., 1.])
    """
    path = Path(path)
    if not force and path.exists():
        raise CheckpointError(f"'{path}' exists already: choose another name, or force to replace it")
    settings = _to_json("settings", checkpoint.settings)
    provenance = _to_json("provenance", checkpoint.provenance)
    index: dict[str, Any] = {
        "arrays": {},
        "kind": checkpoint.kind,
        "provenance": checkpoint.provenance,
        "settings": checkpoint.settings,
    }
    with _replacing(path) as temporary:
        # The low bound keeps the bytes free of dates.
        with h5py.File(temporary, "x", libver=("earliest", "v110"), userblock_size=_SEAL_BYTES) as file:
            file.attrs["format_version"] = np.int64(FORMAT_VERSION)
            file.attrs["kind"] = np.bytes_(checkpoint.kind)
            file.create_dataset("settings", data=np.bytes_(settings), track_times=False)
            file.create_dataset("provenance", data=np.bytes_(provenance), track_times=False)
            group = file.create_group("arrays")
            for name, array in sorted(checkpoint.arrays.items()):
                plain = array.astype(_DTYPES[array.dtype.name], order="C", copy=False)
                stored = group.create_dataset(name, data=plain, track_times=False)
                index["arrays"][name] = {
                    "dtype": array.dtype.name,
                    "offset": stored.id.get_offset() or 0,  # None: no values, no place
                    "shape": list(array.shape),
                }
        text = _to_json("index", index)
        if len(text) > _MAX_INDEX:
            raise CheckpointError(
                f"the settings and names of '{path}' take {len(text)} bytes, and {_MAX_INDEX} are allowed: "
                "store large content as arrays"
            )
        _seal(temporary, text)
        return file_digest(temporary)


def load_checkpoint(path: Path | str, *, kind: str | tuple[str, ...] | None = None) -> Checkpoint:
    """Read a checkpoint, trusting nothing.

    Args:
        path: The file to read.
        kind: The kind or kinds the caller can use; None takes any.

    Returns:
        What was saved: arrays in native byte order, each with its own memory.

    Raises:
        CheckpointError: There is no such file, it is damaged, truncated, no checkpoint, of a newer
            format or of another kind. The message names `path` and what is wrong.
    """
    path = Path(path)
    with _reading(path) as stream:
        size, index_size = _verify_seal(stream, path)
        try:
            checkpoint = _read(stream, size, index_size)
        except (MemoryError, OverflowError, RecursionError, TypeError, ValueError) as error:
            raise CheckpointError(f"'{path}' is malformed: {str(error)[:200]}") from error
    wanted = (kind,) if isinstance(kind, str) else kind
    if wanted is not None and checkpoint.kind not in wanted:
        expected = " or ".join(f"'{each}'" for each in wanted)
        raise CheckpointError(f"'{path}' is a checkpoint of kind '{checkpoint.kind}': expected {expected}")
    return checkpoint


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal.

    Raises:
        CheckpointError: The file cannot be read.
    """
    with _reading(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_text_atomic(path: Path, text: str) -> None:
    """Write a text file (UTF-8, newlines as they are) that is either complete or not there.

    Raises:
        CheckpointError: The file cannot be written.
    """
    with _replacing(path) as temporary, temporary.open("x", encoding="utf-8", newline="") as stream:
        stream.write(text)


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Yield a free name beside `path`; what was written there takes the place of `path` at the end."""
    target = Path(os.path.realpath(path))  # a link stays, the file it leads to is replaced
    temporary = target.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        yield temporary
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        os.replace(temporary, target)
        if os.name == "posix":  # the new name must survive a power cut as well
            folder = os.open(target.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
    except (OSError, RuntimeError) as error:  # h5py tells of a full disk by either
        raise CheckpointError(f"cannot write '{path}': {error}") from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _reading(path: Path) -> Iterator[BufferedReader]:
    """Open a regular file; anything else (a folder, a pipe that would block) is an error."""
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            raise CheckpointError(
                f"'{path}' is {'a folder' if stat.S_ISDIR(mode) else 'no regular file'}: expected a file"
            )
        with path.open("rb") as stream:
            yield stream
    except FileNotFoundError as error:
        raise CheckpointError(f"there is no file '{path}'") from error
    except OSError as error:
        raise CheckpointError(f"cannot read '{path}': {error.strerror or error}") from error


def _seal(path: Path, index: bytes) -> None:
    """Append the index to a finished HDF5 file, and write the seal over its first bytes."""
    with path.open("rb+") as stream:
        stream.seek(0, os.SEEK_END)
        stream.write(index)
        size = stream.tell()
        stream.seek(_SEAL_BYTES)
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        seal = f"format {FORMAT_VERSION}\nsize {size}\nindex {len(index)}\nsha256 {digest}\n"
        stream.seek(0)
        stream.write((_MAGIC + seal.encode()).ljust(_SEAL_BYTES, b"\0"))


def _verify_seal(stream: BufferedReader, path: Path) -> tuple[int, int]:
    """Compare version, size and checksum with the seal; return the file's size and the index's, in bytes."""
    size = os.fstat(stream.fileno()).st_size
    seal = stream.read(_SEAL_BYTES)
    if not size:
        raise CheckpointError(f"'{path}' is empty: expected a checkpoint")
    version = _VERSION.match(seal, len(_MAGIC))
    if not seal.startswith(_MAGIC) or version is None:
        raise CheckpointError(f"'{path}' is not a checkpoint of sleepdefense: its first bytes are others")
    if int(version[1]) > FORMAT_VERSION:
        raise CheckpointError(
            f"'{path}' has format {int(version[1])}, which is newer than format {FORMAT_VERSION}, "
            "the newest that this release reads: update sleepdefense"
        )
    match = _SEAL.fullmatch(seal)
    if match is None or int(version[1]) < 1:
        raise CheckpointError(f"'{path}' is damaged: its first {_SEAL_BYTES} bytes are no valid seal")
    if int(match[2]) != size:
        how = "truncated" if size < int(match[2]) else "damaged"
        raise CheckpointError(f"'{path}' is {how}: it has {size} bytes, and was written with {int(match[2])}")
    if hashlib.file_digest(stream, "sha256").hexdigest() != match[4].decode():
        raise CheckpointError(f"'{path}' is damaged: its checksum is not that of its content")
    return size, int(match[3])


def _read(stream: BufferedReader, size: int, index_size: int) -> Checkpoint:
    """Read a file whose seal is intact, which says nothing about who made it."""
    if index_size > min(_MAX_INDEX, size - _SEAL_BYTES):
        raise ValueError(
            f"its index of {index_size} bytes is larger than the file, or than {_MAX_INDEX} bytes"
        )
    stream.seek(size - index_size)
    index = json.loads(stream.read(index_size).decode("ascii"), parse_constant=_refuse_constant)
    _check_keys("its index", index, {"arrays", "kind", "provenance", "settings"})
    for part in ("arrays", "provenance", "settings"):
        if not isinstance(index[part], dict):
            raise ValueError(f"its {part} are no JSON object")
    if not isinstance(index["kind"], str):
        raise ValueError("its kind is no string")
    arrays: dict[str, NDArray[Any]] = {}
    left = size - index_size - _SEAL_BYTES  # an array is stored once, so that all of them fit into the file
    for name, place in index["arrays"].items():
        arrays[name] = _read_array(stream, name, place, left, size)
        left -= arrays[name].nbytes
    return Checkpoint(
        kind=index["kind"], arrays=arrays, settings=index["settings"], provenance=index["provenance"]
    )


def _read_array(stream: BufferedReader, name: str, place: Any, left: int, end: int) -> NDArray[Any]:
    """Read one array of at most `left` bytes from a file of `end` bytes."""
    _check_keys(f"array {name!r}", place, {"dtype", "offset", "shape"})
    dtype, offset, shape = place["dtype"], place["offset"], place["shape"]
    if dtype not in _DTYPES:
        raise ValueError(f"array {name!r} has type {dtype!r}: expected one of {', '.join(_DTYPES)}")
    if not isinstance(shape, list) or len(shape) > _MAX_AXES or not all(_is_count(side) for side in shape):
        raise ValueError(f"array {name!r} has the shape {shape!r}")
    size = math.prod(shape) * _DTYPES[dtype].itemsize
    if not _is_count(offset) or size > left or offset + size > end:
        raise ValueError(f"array {name!r} lies outside of the file: {size} bytes at {offset!r}")
    array = np.empty(shape, _DTYPES[dtype])
    stream.seek(offset)
    stream.readinto(array.reshape(-1).view(np.uint8).data)
    if dtype == "bool" and array.view(np.uint8).max(initial=0) > 1:
        raise ValueError(f"array {name!r} of booleans holds other values than 0 and 1")
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _check_keys(what: str, value: Any, keys: set[str]) -> None:
    """Refuse anything but a JSON object with exactly these keys."""
    if not isinstance(value, dict) or set(value) != keys:
        raise ValueError(f"{what} is not described by {', '.join(sorted(keys))}")


def _is_count(value: object) -> bool:
    """Say whether a value from JSON is a whole number that can be a size or a place."""
    return type(value) is int and 0 <= value < 2**63


def _to_json(name: str, value: Mapping[str, Any]) -> bytes:
    """Return canonical JSON: sorted keys, ASCII, no NaN."""
    try:
        text = json.dumps(value, sort_keys=True, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise CheckpointError(f"the {name} of a checkpoint must be JSON: {error}") from error
    return text.encode("ascii")


def _refuse_constant(name: str) -> None:
    """Refuse NaN and the infinities, which are no JSON."""
    raise ValueError(f"{name} is no JSON")


def _check_name(name: str, names: Mapping[str, object]) -> None:
    """Refuse names that are no path, or that would need an array to be a group too."""
    parts = name.split("/")
    if (
        not name.isprintable()
        or len(name) > _MAX_NAME
        or len(parts) > _MAX_DEPTH
        or {"", ".", ".."} & set(parts)
    ):
        raise CheckpointError(f"array name {name!r} cannot be stored: expected words joined by '/'")
    for last in range(1, len(parts)):
        if "/".join(parts[:last]) in names:
            raise CheckpointError(
                f"arrays '{'/'.join(parts[:last])}' and '{name}' cannot both be stored: rename one"
            )
