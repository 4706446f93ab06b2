"""Checkpoints that are damaged, foreign or hostile: always one CheckpointError that names the file."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sleepdefense.checkpoint import load_checkpoint
from sleepdefense.errors import CheckpointError

GOLDEN = Path(__file__).parent / "golden" / "checkpoint-1.h5"
GOOD = GOLDEN.read_bytes()
SEAL = 512


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A good file that the test may spoil."""
    return Path(shutil.copyfile(GOLDEN, tmp_path / "one.h5"))


def split(path: Path) -> tuple[bytes, dict[str, Any]]:
    """Return the HDF5 part of a file and its index, found as docs/checkpoint-format.md says."""
    content = path.read_bytes()
    length = int(content.split(b"\n")[3].removeprefix(b"index "))
    return content[:-length], json.loads(content[-length:])


def join(path: Path, content: bytes, index: bytes, *, length: int | None = None) -> None:
    """Write a file with a valid seal, as an attacker would."""
    body = content[SEAL:] + index
    sizes = f"size {SEAL + len(body)}\nindex {len(index) if length is None else length}\n"
    head = f"sleepdefense checkpoint\nformat 1\n{sizes}sha256 {hashlib.sha256(body).hexdigest()}\n"
    path.write_bytes(head.encode().ljust(SEAL, b"\0") + body)


# Damage: the result is an error, always. The seal makes even harmless flips visible.


@given(length=st.integers(0, len(GOOD) - 1))
@example(length=0)
@example(length=SEAL - 1)
@example(length=SEAL)
@example(length=len(GOOD) - 1)
def test_truncated_file_is_refused(tmp_path_factory: pytest.TempPathFactory, length: int) -> None:
    path = tmp_path_factory.mktemp("cut") / "cut.h5"
    path.write_bytes(GOOD[:length])
    with pytest.raises(CheckpointError, match=r"cut.h5' is (empty|truncated|damaged|not a checkpoint)"):
        load_checkpoint(path)


@given(
    flips=st.lists(
        st.tuples(st.integers(0, len(GOOD) - 1), st.integers(1, 255)),
        min_size=1,
        max_size=4,
        unique_by=lambda flip: flip[0],
    )
)
def test_flipped_bytes_are_noticed(
    tmp_path_factory: pytest.TempPathFactory, flips: list[tuple[int, int]]
) -> None:
    path = tmp_path_factory.mktemp("flip") / "flip.h5"
    damaged = bytearray(GOOD)
    for place, mask in flips:
        damaged[place] ^= mask
    path.write_bytes(damaged)
    with pytest.raises(CheckpointError, match=r"flip.h5'"):
        load_checkpoint(path)


def test_every_single_byte_of_the_seal_counts(tmp_path: Path) -> None:
    for place in range(SEAL):
        damaged = bytearray(GOOD)
        damaged[place] ^= 1
        (tmp_path / "flip.h5").write_bytes(damaged)
        with pytest.raises(CheckpointError, match=r"flip.h5'"):
            load_checkpoint(tmp_path / "flip.h5")


def test_appended_bytes_are_noticed(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(
        CheckpointError, match=r"one.h5' is damaged: it has \d+ bytes, and was written with \d+"
    ):
        load_checkpoint(path)


def test_missing_file_folder_text_and_foreign_hdf5_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"there is no file '.*none.h5'"):
        load_checkpoint(tmp_path / "none.h5")
    with pytest.raises(CheckpointError, match="is a folder: expected a file"):
        load_checkpoint(tmp_path)
    (tmp_path / "text.h5").write_text("hello")
    with pytest.raises(CheckpointError, match=r"text.h5' is not a checkpoint of sleepdefense"):
        load_checkpoint(tmp_path / "text.h5")
    (tmp_path / "empty.h5").touch()
    with pytest.raises(CheckpointError, match=r"empty.h5' is empty"):
        load_checkpoint(tmp_path / "empty.h5")
    h5py.File(tmp_path / "other.h5", "w").close()
    with pytest.raises(CheckpointError, match=r"other.h5' is not a checkpoint of sleepdefense"):
        load_checkpoint(tmp_path / "other.h5")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.h5")
    with pytest.raises(CheckpointError, match=r"pipe.h5' is no regular file"):
        load_checkpoint(tmp_path / "pipe.h5")


def test_newer_format_is_told_from_damage(path: Path) -> None:
    content = path.read_bytes().replace(b"format 1\nsize", b"format 2\nanything else", 1)
    path.write_bytes(content)
    with pytest.raises(
        CheckpointError, match=r"one.h5' has format 2, which is newer than format 1.*: update"
    ):
        load_checkpoint(path)


# Forgery: the seal is right, the content is hostile.


@given(
    flips=st.lists(st.tuples(st.integers(SEAL, len(GOOD) - 1), st.integers(1, 255)), min_size=1, max_size=8)
)
def test_forged_damage_never_escapes_as_another_error(
    tmp_path_factory: pytest.TempPathFactory, flips: list[tuple[int, int]]
) -> None:
    path = tmp_path_factory.mktemp("forged") / "forged.h5"
    damaged = bytearray(GOOD)
    for place, mask in flips:
        damaged[place] ^= mask
    length = int(GOOD.split(b"\n")[3].removeprefix(b"index "))
    join(path, damaged[:-length], damaged[-length:])
    with suppress(CheckpointError):
        load_checkpoint(path)


def _links(file: h5py.File) -> None:
    file["arrays/soft"] = h5py.SoftLink("/arrays/step")
    file["arrays/external"] = h5py.ExternalLink("other.h5", "/secret")
    file["arrays/circle"] = file["arrays"]


def _storage(file: h5py.File) -> None:
    file.create_dataset("arrays/outside", (8,), "f4", external=[("/etc/hostname", 0, 32)])
    file.create_dataset("arrays/huge", (2**40, 2**20), "f8", chunks=(1, 1))
    file.create_dataset("arrays/bomb", data=np.zeros(10**6), compression="gzip")
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "secret", (4,))
    file["arrays"].create_virtual_dataset("virtual", layout)


def _types(file: h5py.File) -> None:
    file.create_dataset("arrays/text", data=["text"], dtype=h5py.string_dtype())
    file.create_dataset("arrays/ragged", (1,), dtype=h5py.vlen_dtype(np.int32))
    file.create_dataset("arrays/reference", data=[file.ref], dtype=h5py.ref_dtype)
    file["arrays/compound"] = np.zeros(2, [("a", "f4")])


def _depth(file: h5py.File) -> None:
    file.create_group("arrays/" + "a/" * 1000)


def _nothing(file: h5py.File) -> None:
    del file["arrays"]


@pytest.mark.parametrize("change", [_links, _storage, _types, _depth, _nothing])
def test_hostile_hdf5_tree_is_never_walked(path: Path, change: Callable[[h5py.File], None]) -> None:
    before = load_checkpoint(path)
    content, index = split(path)
    path.write_bytes(content)
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(CheckpointError, match=r"one.h5' is damaged|one.h5' is truncated"):
        load_checkpoint(path)
    join(path, path.read_bytes(), json.dumps(index).encode())
    after = load_checkpoint(path)
    assert after.settings == before.settings
    assert {name: array.tobytes() for name, array in after.arrays.items()} == {
        name: array.tobytes() for name, array in before.arrays.items()
    }


def _with(*keys: str, value: object) -> bytes:
    """Return the index of the golden file with one of its values replaced."""
    _, index = split(GOLDEN)
    place: Any = index
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    return json.dumps(index).encode()


STEP = ("arrays", "step")
END = len(split(GOLDEN)[0])


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (b"", "malformed: Expecting value"),
        (b"{", "malformed"),
        (b"\xff", "malformed"),
        (b"[1]", "its index is not described by arrays, kind, provenance, settings"),
        (b"[" * 100_000, "malformed"),
        (b'{"a":' + b"9" * 10_000 + b"}", "malformed"),
        (b" " * 2**24 + b"{}", "its index of 16777218 bytes is larger than"),
        (_with("more", value=1), "its index is not described by"),
        (_with("kind", value="dream"), "unknown kind of checkpoint 'dream'"),
        (_with("kind", value=["awake"]), "its kind is no string"),
        (_with("settings", value=[1]), "its settings are no JSON object"),
        (_with("settings", value={"a": float("nan")}), "NaN is no JSON"),
        (_with("provenance", value="me"), "its provenance are no JSON object"),
        (_with("arrays", value=3), "its arrays are no JSON object"),
        (_with("arrays", "a\nb", value={"dtype": "int8", "offset": 0, "shape": []}), "cannot be stored"),
        (
            _with("arrays", "step/a", value={"dtype": "int8", "offset": 0, "shape": []}),
            "cannot both be stored",
        ),
        (_with(*STEP, value=3), "array 'step' is not described by dtype, offset, shape"),
        (_with(*STEP, "dtype", value="object"), "array 'step' has type 'object': expected one of bool, int8"),
        (_with(*STEP, "dtype", value="V8"), "has type 'V8'"),
        (_with(*STEP, "dtype", value=["int8"]), "malformed"),
        (_with(*STEP, "shape", value=3), "has the shape 3"),
        (_with(*STEP, "shape", value=[-1]), r"has the shape \[-1\]"),
        (_with(*STEP, "shape", value=[True]), r"has the shape \[True\]"),
        (_with(*STEP, "shape", value=[1.0]), r"has the shape \[1.0\]"),
        (_with(*STEP, "shape", value=[1] * 33), "has the shape"),
        (_with(*STEP, "shape", value=[0, 2**62, 2**62]), "malformed"),
        (
            _with(*STEP, "shape", value=[2**40]),
            "lies outside of the file: 8796093022208 bytes at",
        ),
        (_with(*STEP, "shape", value=[2**62] * 32), "lies outside of the file"),
        (_with(*STEP, "shape", value=[10**4000]), "has the shape"),
        (_with(*STEP, "offset", value=-1), "lies outside of the file: 8 bytes at -1"),
        (_with(*STEP, "offset", value=2**63 - 1), "lies outside of the file"),
        (_with(*STEP, "offset", value=None), "8 bytes at None"),
        (_with("arrays", "flag", "offset", value=0), "of booleans holds other values than 0 and 1"),
    ],
    ids=range(33),
)
def test_hostile_index_is_refused(path: Path, index: bytes, message: str) -> None:
    join(path, path.read_bytes()[:END], index)
    with pytest.raises(CheckpointError, match=message) as caught:
        load_checkpoint(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_arrays_together_take_no_more_than_the_file_holds(path: Path) -> None:
    """A thousand arrays that all lie over the same bytes would multiply them in memory."""
    content, index = split(path)
    whole = {"dtype": "uint8", "offset": 0, "shape": [len(content) - SEAL]}
    index["arrays"] = {f"a{number}": whole for number in range(1000)}
    join(path, content, json.dumps(index).encode())
    with pytest.raises(CheckpointError, match=r"array 'a1' lies outside of the file"):
        load_checkpoint(path)


def test_index_larger_than_the_file_is_refused(path: Path) -> None:
    join(path, GOOD, b"", length=len(GOOD) - SEAL + 1)
    with pytest.raises(
        CheckpointError, match=r"is malformed: its index of \d+ bytes is larger than the file"
    ):
        load_checkpoint(path)
