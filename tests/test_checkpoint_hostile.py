"""Checkpoints that are damaged, foreign or hostile: always one CheckpointError that names the file."""

import hashlib
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

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


def seal(path: Path) -> None:
    """Write a valid seal over the first bytes, as docs/checkpoint-format.md says."""
    content = path.read_bytes()
    digest = hashlib.sha256(content[SEAL:]).hexdigest()
    head = f"sleepdefense checkpoint\nformat 1\nsize {len(content)}\nsha256 {digest}\n"
    path.write_bytes(head.encode().ljust(SEAL, b"\0") + content[SEAL:])


def forge(path: Path, change: Callable[[h5py.File], object]) -> None:
    """Change a file with plain h5py, then give it a valid seal again, as an attacker would."""
    with h5py.File(path, "r+") as file:
        change(file)
    seal(path)


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
    path.write_bytes(damaged)
    seal(path)
    with suppress(CheckpointError):
        load_checkpoint(path)


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


def _cycle(file: h5py.File) -> None:
    file["arrays/encoder/again"] = file["arrays"]


def _twice(file: h5py.File) -> None:
    file["arrays/again"] = file["arrays/step"]


def _soft(file: h5py.File) -> None:
    file["arrays/soft"] = h5py.SoftLink("/arrays/step")


def _external(file: h5py.File) -> None:
    file["arrays/link"] = h5py.ExternalLink("other.h5", "/secret")


def _outside(file: h5py.File) -> None:
    file.create_dataset("arrays/a", (8,), "f4", external=[("/etc/hostname", 0, 32)])


def _virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "secret", (4,))
    file["arrays"].create_virtual_dataset("a", layout)


def _huge(file: h5py.File) -> None:
    file.create_dataset("arrays/a", (2**40,), "f4")


def _huge_shape_of_nothing(file: h5py.File) -> None:
    file.create_dataset("arrays/a", (2**40, 2**20), "f8", chunks=(1, 1))


def _bomb(file: h5py.File) -> None:
    file.create_dataset("arrays/a", data=np.zeros(10**6), compression="gzip")


def _objects(file: h5py.File) -> None:
    file.create_dataset("arrays/a", data=["text"], dtype=h5py.string_dtype())


def _ragged(file: h5py.File) -> None:
    file.create_dataset("arrays/a", (1,), dtype=h5py.vlen_dtype(np.int32))


def _compound(file: h5py.File) -> None:
    file["arrays/a"] = np.zeros(2, [("a", "f4")])


def _reference(file: h5py.File) -> None:
    file.create_dataset("arrays/a", data=[file.ref], dtype=h5py.ref_dtype)


def _opaque(file: h5py.File) -> None:
    file["arrays/a"] = np.zeros(2, "V4")


def _enumeration(file: h5py.File) -> None:
    file.create_dataset("arrays/a", data=[1], dtype=h5py.enum_dtype({"RED": 1}))


def _half(file: h5py.File) -> None:
    file["arrays/a"] = np.zeros(2, np.float16)


def _null(file: h5py.File) -> None:
    file["arrays/a"] = h5py.Empty("f4")


def _named_type(file: h5py.File) -> None:
    file["arrays/a"] = np.dtype("f4")


def _deep(file: h5py.File) -> None:
    file.create_group("arrays/" + "a/" * 1000)


def _truth(file: h5py.File) -> None:
    place = file["arrays/flag"].id.get_offset()
    name = file.filename
    file.close()
    with open(name, "rb+") as stream:
        stream.seek(place)
        stream.write(b"\x07")


def _replace(name: str, value: object) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[name]
        if value is not None:
            file[name] = value

    change.__name__ = f"{name}_{str(value)[:12]}"
    return change


def _attribute(name: str, value: object) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        file.attrs[name] = value

    change.__name__ = f"@{name}_{str(value)[:12]}"
    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_cycle, "leads back into itself"),
        (_twice, "leads back into itself"),
        (_soft, "soft or external link"),
        (_external, "soft or external link"),
        (_outside, "not stored contiguously in the file itself"),
        (_virtual, "not stored contiguously"),
        (_huge, "declares 4398046511104 bytes"),
        (_huge_shape_of_nothing, "not stored contiguously"),
        (_bomb, "not stored contiguously"),
        (_objects, "not of type bool"),
        (_ragged, "not of type bool"),
        (_compound, "not of type bool"),
        (_reference, "not of type bool"),
        (_opaque, "not of type bool"),
        (_enumeration, "not of type bool"),
        (_half, "not of type bool"),
        (_null, "has no shape"),
        (_named_type, "neither a group nor an array"),
        (_deep, "too deep"),
        (_truth, "other values than 0 and 1"),
        (_replace("arrays", None), "top level"),
        (_replace("arrays", 3.0), "cannot be stored"),
        (_replace("settings", None), "top level"),
        (_replace("settings", "text of variable length"), "fixed length"),
        (_replace("settings", np.bytes_(b"{")), "malformed"),
        (_replace("settings", np.bytes_(b"[1]")), "'settings' is no JSON object"),
        (_replace("settings", np.bytes_(b'{"a":NaN}')), "NaN is no JSON"),
        (_replace("settings", np.bytes_(b"[" * 100_000)), "malformed"),
        (_replace("settings", np.bytes_(b'{"a":' + b"9" * 10_000 + b"}")), "malformed"),
        (_replace("settings", np.zeros(3)), "no scalar string"),
        (_replace("provenance", 3), "no string of fixed length"),
        (_replace("provenance", np.bytes_(b'"\xff"')), "malformed"),
        (_attribute("format_version", 2), "'format_version' is 2: expected 1"),
        (_attribute("format_version", "1"), "neither an integer nor a string of fixed length"),
        (_attribute("kind", np.bytes_(b"dream")), "unknown kind of checkpoint 'dream'"),
        (_attribute("kind", np.bytes_(b"x" * 100)), "no short scalar"),
        (_attribute("kind", np.zeros(3)), "no short scalar"),
        (_attribute("more", 1), "top level"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_hostile_content_is_refused(path: Path, change: Callable[[h5py.File], None], message: str) -> None:
    forge(path, change)
    with pytest.raises(CheckpointError, match=message) as caught:
        load_checkpoint(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
