"""Checkpoints: named arrays and JSON settings in one HDF5 file that is never trusted.

A file begins with a seal of 512 bytes (HDF5's user block) that names the format version, the size and the
SHA-256 of all bytes behind it. The version is compared first, the checksum second, and only then does the
HDF5 library see the file: damage is noticed before anything is parsed. What is parsed is checked again,
because a seal can be forged: nothing but plain numbers, stored in this file, is ever read.

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
_SEAL = re.compile(_MAGIC + rb"format ([0-9]{1,9})\nsize ([0-9]{1,18})\nsha256 ([0-9a-f]{64})\n\0*")
_MAX_DEPTH = 16  # of "/" in the name of an array
_MAX_NAME = 1000  # characters in the name of an array
_DTYPES = tuple(
    np.dtype(code) for code in ("?", "<i1", "<i2", "<i4", "<i8", "<u1", "<u2", "<u4", "<u8", "<f4", "<f8")
)
_READ_ERRORS = (KeyError, MemoryError, OSError, OverflowError, RuntimeError, TypeError, ValueError)


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
            if not isinstance(array, np.ndarray) or array.dtype.newbyteorder("<") not in _DTYPES:
                what = getattr(array, "dtype", type(array).__name__)
                raise CheckpointError(
                    f"array '{name}' is of type {what}: expected bool, integer, float32 or float64"
                )


def save_checkpoint(path: Path, checkpoint: Checkpoint, *, force: bool = True) -> str:
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
            the settings or the provenance are not JSON.

    >>> import tempfile
    >>> one = Checkpoint(kind="results", arrays={"distance": np.ones(3)}, settings={"n": 3}, provenance={})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     digest = save_checkpoint(Path(folder) / "one.h5", one)
    ...     load_checkpoint(Path(folder) / "one.h5", kind="results").arrays["distance"]
    array([1., 1., 1.])
    """
    if not force and path.exists():
        raise CheckpointError(f"'{path}' exists already: choose another name, or force to replace it")
    settings = _to_json("settings", checkpoint.settings)
    provenance = _to_json("provenance", checkpoint.provenance)
    with _replacing(path) as temporary:
        # The low bound keeps the bytes the same from one HDF5 release to the next, and free of dates.
        with h5py.File(temporary, "x", libver=("earliest", "v110"), userblock_size=_SEAL_BYTES) as file:
            file.attrs["format_version"] = np.int64(FORMAT_VERSION)
            file.attrs["kind"] = np.bytes_(checkpoint.kind)
            file.create_dataset("settings", data=np.bytes_(settings), track_times=False)
            file.create_dataset("provenance", data=np.bytes_(provenance), track_times=False)
            group = file.create_group("arrays")
            for name in sorted(checkpoint.arrays):
                array = checkpoint.arrays[name]
                plain = array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)
                group.create_dataset(name, data=plain, track_times=False)
        _seal(temporary)
        return file_digest(temporary)


def load_checkpoint(path: Path, *, kind: str | tuple[str, ...] | None = None) -> Checkpoint:
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
    size = _verify_seal(path)
    try:
        with h5py.File(path, "r") as file:
            checkpoint = _read(file, size)
    except _READ_ERRORS as error:
        raise CheckpointError(f"'{path}' is malformed: {error}") from error
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


def _seal(path: Path) -> None:
    """Write the seal over the first bytes of a finished HDF5 file."""
    with path.open("rb+") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(_SEAL_BYTES)
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        seal = _MAGIC + f"format {FORMAT_VERSION}\nsize {size}\nsha256 {digest}\n".encode()
        stream.seek(0)
        stream.write(seal.ljust(_SEAL_BYTES, b"\0"))


def _verify_seal(path: Path) -> int:
    """Compare version, size and checksum with the seal, and return the size of the file in bytes."""
    with _reading(path) as stream:
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
            raise CheckpointError(
                f"'{path}' is {how}: it has {size} bytes, and was written with {int(match[2])}"
            )
        if hashlib.file_digest(stream, "sha256").hexdigest() != match[3].decode():
            raise CheckpointError(f"'{path}' is damaged: its checksum is not that of its content")
    return size


def _read(file: h5py.File, size: int) -> Checkpoint:
    """Read a file of `size` bytes whose seal is intact, which says nothing about who made it."""
    names = set(file)
    if names != {"arrays", "provenance", "settings"} or set(file.attrs) != {"format_version", "kind"}:
        raise ValueError(f"its top level is {sorted(names)} with attributes {sorted(file.attrs)}")
    version = _attribute(file, "format_version")
    if version != FORMAT_VERSION:
        raise ValueError(f"its attribute 'format_version' is {version!r}: expected {FORMAT_VERSION}")
    kind = _attribute(file, "kind")
    settings = _from_json(file, "settings", size)
    provenance = _from_json(file, "provenance", size)
    return Checkpoint(
        kind=str(kind), arrays=_read_arrays(file, size), settings=settings, provenance=provenance
    )


def _attribute(file: h5py.File, name: str) -> int | str:
    """Read one small scalar attribute."""
    identifier = h5py.h5a.open(file.id, name.encode())
    kind = identifier.get_type()
    if identifier.shape != () or identifier.get_storage_size() > 64:
        raise ValueError(f"its attribute '{name}' is no short scalar")
    if kind.equal(h5py.h5t.STD_I64LE):
        return int(file.attrs[name])
    if kind.get_class() != h5py.h5t.STRING or kind.is_variable_str():
        raise ValueError(f"its attribute '{name}' is neither an integer nor a string of fixed length")
    return bytes(file.attrs[name]).decode("ascii")


def _read_arrays(file: h5py.File, size: int) -> dict[str, NDArray[Any]]:
    """Read every array, each object once, and in all no more bytes than the file has."""
    arrays: dict[str, NDArray[Any]] = {}
    waiting = [(_member(file, "arrays"), "")]
    seen: set[int] = set()
    left = size
    while waiting:
        found, name = waiting.pop()
        address = h5py.h5o.get_info(found.id).addr
        if address in seen or name.count("/") > _MAX_DEPTH:
            raise ValueError(f"'arrays/{name}' leads back into itself, or too deep")
        seen.add(address)
        if isinstance(found, h5py.Group):
            waiting += [(_member(found, part), f"{name}/{part}" if name else part) for part in found]
        else:
            arrays[name] = _read_array(found, name, left)
            left -= arrays[name].nbytes
    return {name: arrays[name] for name in sorted(arrays)}


def _member(group: h5py.Group, name: str) -> h5py.Group | h5py.Dataset:
    """Open a member of a group that is stored in this very file."""
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"'{name}' is a soft or external link: only what the file itself holds is read")
    found = group[name]
    if not isinstance(found, h5py.Group | h5py.Dataset):
        raise ValueError(f"'{name}' is neither a group nor an array")
    return found


def _read_array(found: h5py.Dataset, name: str, left: int) -> NDArray[Any]:
    """Read one array of at most `left` bytes after looking at how it is stored."""
    stored = found.id.get_type()
    dtype = next((dtype for dtype in _DTYPES if stored.equal(h5py.h5t.py_create(dtype, logical=True))), None)
    if dtype is None:
        raise ValueError(f"array '{name}' is not of type bool, integer, float32 or float64")
    _check_storage(found, name, left)
    array = np.empty(found.shape, dtype.newbyteorder("="))
    if array.size:
        found.read_direct(array)
    if dtype == np.bool_ and array.view(np.uint8).max(initial=0) > 1:
        raise ValueError(f"array '{name}' of booleans holds other values than 0 and 1")
    return array


def _check_storage(found: h5py.Dataset, name: str, left: int) -> None:
    """Refuse all storage but plain bytes in this file, as many as the shape declares."""
    properties = found.id.get_create_plist()
    if properties.get_layout() != h5py.h5d.CONTIGUOUS or properties.get_external_count():
        raise ValueError(f"array '{name}' is not stored contiguously in the file itself")
    if found.shape is None:
        raise ValueError(f"array '{name}' has no shape")
    declared = math.prod(found.shape) * found.id.get_type().get_size()
    if declared > left or declared != found.id.get_storage_size():
        raise ValueError(f"array '{name}' declares {declared} bytes, more or fewer than are stored")
    offset = found.id.get_offset()
    if declared and (offset is None or offset + declared > found.file.id.get_filesize()):
        raise ValueError(f"array '{name}' lies outside of the file")


def _from_json(file: h5py.File, name: str, size: int) -> dict[str, Any]:
    """Read a JSON object from a string of fixed length."""
    found = _member(file, name)
    if not isinstance(found, h5py.Dataset) or found.shape != ():
        raise ValueError(f"'{name}' is no scalar string")
    kind = found.id.get_type()
    if kind.get_class() != h5py.h5t.STRING or kind.is_variable_str():
        raise ValueError(f"'{name}' is no string of fixed length")
    _check_storage(found, name, size)
    value = json.loads(bytes(found[()]), parse_constant=_refuse_constant)
    if not isinstance(value, dict):
        raise ValueError(f"'{name}' is no JSON object")
    return value


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
