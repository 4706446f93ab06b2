"""Checkpoints: exact round trips, equal bytes, atomic writing. Damage is in test_checkpoint_hostile.py."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_array_equal

from sleepdefense.checkpoint import (
    FORMAT_VERSION,
    KINDS,
    Checkpoint,
    file_digest,
    load_checkpoint,
    save_checkpoint,
    write_text_atomic,
)
from sleepdefense.errors import CheckpointError

GOLDEN = Path(__file__).parent / "golden" / "checkpoint-1.h5"


def small() -> Checkpoint:
    """One array of every type, with groups, no elements, no axes and no numbers."""
    return Checkpoint(
        kind="awake",
        arrays={
            "encoder/0.weight": np.arange(6, dtype=np.float32).reshape(2, 3) / 8,
            "encoder/0.bias": np.array([0.5, -0.0]),
            "empty": np.zeros((0, 3), np.float32),
            "flag": np.array([True, False]),
            "odd": np.array([np.nan, np.inf, -np.inf]),
            "step": np.array(7),
            **{
                f"int/{code}": np.array([1, 2], dtype=code)
                for code in ("i1", "i2", "i4", "u1", "u2", "u4", "u8")
            },
        },
        settings={"model": "defense-vae", "model_settings": {"channels": [1, 64], "name": "Schläfer"}},
        provenance={"seed": 1, "parent": None},
    )


def assert_same(actual: Checkpoint, expected: Checkpoint) -> None:
    assert (actual.kind, actual.settings, actual.provenance) == (
        expected.kind,
        expected.settings,
        expected.provenance,
    )
    assert set(actual.arrays) == set(expected.arrays)
    for name, array in expected.arrays.items():
        assert actual.arrays[name].dtype == array.dtype.newbyteorder("=")
        assert_array_equal(actual.arrays[name], array, strict=array.dtype.isnative)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A good file that the test may spoil."""
    save_checkpoint(tmp_path / "one.h5", small())
    return tmp_path / "one.h5"


def test_content_survives_the_round_trip(path: Path) -> None:
    assert_same(load_checkpoint(path), small())


@given(
    array=hnp.arrays(
        st.sampled_from(["?", "<i4", ">i2", "<u8", "<f4", ">f8"]),
        hnp.array_shapes(min_dims=0, min_side=0, max_side=4),
    ),
    words=st.lists(
        st.text(min_size=1).filter(
            lambda word: word.isprintable() and "/" not in word and word not in (".", "..")
        ),
        min_size=1,
        max_size=4,
    ),
    settings=st.dictionaries(
        st.text(), st.none() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False)
    ),
)
def test_any_content_survives_the_round_trip(
    tmp_path_factory: pytest.TempPathFactory, array: np.ndarray, words: list[str], settings: dict[str, Any]
) -> None:
    path = tmp_path_factory.mktemp("round") / "trip.h5"
    content = Checkpoint(kind="results", arrays={"/".join(words): array}, settings=settings, provenance={})
    save_checkpoint(path, content)
    assert_same(load_checkpoint(path), content)


def test_settings_may_be_longer_than_an_hdf5_attribute(tmp_path: Path) -> None:
    content = Checkpoint(kind="results", arrays={}, settings={"text": "x" * 200_000}, provenance={})
    save_checkpoint(tmp_path / "long.h5", content)
    assert_same(load_checkpoint(tmp_path / "long.h5"), content)


def test_golden_file_of_format_1_still_loads() -> None:
    assert_same(load_checkpoint(GOLDEN, kind="awake"), small())


def test_equal_content_gives_equal_bytes_in_another_process_and_order(path: Path, tmp_path: Path) -> None:
    one = small()
    other = Checkpoint(
        kind=one.kind,
        arrays={name: one.arrays[name] for name in reversed(one.arrays)},
        settings=dict(reversed(one.settings.items())),
        provenance=dict(reversed(one.provenance.items())),
    )
    save_checkpoint(tmp_path / "two.h5", other)
    assert (tmp_path / "two.h5").read_bytes() == path.read_bytes()
    script = "\n".join(
        [
            "import sys",
            "from pathlib import Path",
            "from sleepdefense.checkpoint import load_checkpoint, save_checkpoint",
            "save_checkpoint(Path(sys.argv[2]), load_checkpoint(Path(sys.argv[1])))",
        ]
    )
    subprocess.run([sys.executable, "-c", script, path, tmp_path / "three.h5"], check=True)
    assert (tmp_path / "three.h5").read_bytes() == path.read_bytes()


def test_digest_returned_is_that_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "one.h5"
    assert save_checkpoint(path, small()) == file_digest(path)


def test_any_hdf5_reader_can_open_the_file(path: Path) -> None:
    with h5py.File(path, "r") as file:
        assert file.attrs["format_version"] == FORMAT_VERSION
        assert_array_equal(file["arrays/encoder/0.weight"][()], small().arrays["encoder/0.weight"])
        assert file["arrays/encoder/0.weight"].chunks is None


def test_wanted_kind_is_compared(path: Path) -> None:
    assert load_checkpoint(path, kind=("spiking", "awake")).kind == "awake"
    with pytest.raises(
        CheckpointError, match=r"one.h5' is a checkpoint of kind 'awake': expected 'spiking' or 'sleep'"
    ):
        load_checkpoint(path, kind=("spiking", "sleep"))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_be_stored(tmp_path: Path, kind: str) -> None:
    save_checkpoint(tmp_path / "one.h5", Checkpoint(kind=kind, arrays={}, settings={}, provenance={}))
    assert load_checkpoint(tmp_path / "one.h5", kind=kind).kind == kind


# What cannot be stored.


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("half", np.zeros(2, np.float16)),
        ("complex", np.zeros(2, np.complex64)),
        ("text", np.array(["a"])),
        ("object", np.array([None])),
        ("record", np.zeros(2, [("a", "f4")])),
        ("date", np.zeros(2, "M8[s]")),
    ],
)
def test_array_of_other_type_is_refused(name: str, array: np.ndarray) -> None:
    with pytest.raises(CheckpointError, match=f"array '{name}' is of type"):
        Checkpoint(kind="awake", arrays={name: array}, settings={}, provenance={})


@pytest.mark.parametrize(
    "name", ["", "/a", "a/", "a//b", ".", "a/../b", "a\0b", "a\nb", "\udcff", "a" * 1001, "a/" * 16 + "b"]
)
def test_name_that_is_no_path_is_refused(name: str) -> None:
    with pytest.raises(CheckpointError, match="cannot be stored"):
        Checkpoint(kind="awake", arrays={name: np.zeros(1)}, settings={}, provenance={})


def test_array_cannot_be_a_group_too() -> None:
    with pytest.raises(CheckpointError, match="arrays 'a/b' and 'a/b/c' cannot both be stored"):
        Checkpoint(
            kind="awake", arrays={"a/b": np.zeros(1), "a/b/c": np.zeros(1)}, settings={}, provenance={}
        )


def test_unknown_kind_is_refused() -> None:
    with pytest.raises(CheckpointError, match="unknown kind of checkpoint 'dream': expected one of awake"):
        Checkpoint(kind="dream", arrays={}, settings={}, provenance={})


@pytest.mark.parametrize("value", [{"a": float("nan")}, {"a": Path()}, {"a": {1, 2}}, {"a": 1, 2: 3}])
def test_settings_must_be_json(tmp_path: Path, value: dict[Any, Any]) -> None:
    content = Checkpoint(kind="awake", arrays={}, settings={"deep": value}, provenance={})
    with pytest.raises(CheckpointError, match="the settings of a checkpoint must be JSON"):
        save_checkpoint(tmp_path / "one.h5", content)
    assert not list(tmp_path.iterdir())


def test_settings_of_more_than_16_mib_are_refused(tmp_path: Path) -> None:
    content = Checkpoint(kind="awake", arrays={}, settings={"text": "x" * 2**24}, provenance={})
    with pytest.raises(
        CheckpointError, match=r"take 1677.* bytes, and 16777216 are allowed: store large content as"
    ):
        save_checkpoint(tmp_path / "one.h5", content)
    assert not list(tmp_path.iterdir())


# Writing.


def test_existing_file_is_kept_without_force(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(CheckpointError, match="exists already"):
        save_checkpoint(path, Checkpoint(kind="sleep", arrays={}, settings={}, provenance={}), force=False)
    assert path.read_bytes() == before
    save_checkpoint(path, Checkpoint(kind="sleep", arrays={}, settings={}, provenance={}))
    assert load_checkpoint(path).kind == "sleep"


def test_missing_folder_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"cannot write '.*none/one.h5'"):
        save_checkpoint(tmp_path / "none" / "one.h5", small())


def test_failed_write_leaves_the_old_file_and_nothing_else(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    before = path.read_bytes()
    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(CheckpointError, match=r"cannot write '.*one.h5': .*No space left"):
        save_checkpoint(path, Checkpoint(kind="sleep", arrays={}, settings={}, provenance={}))
    with pytest.raises(CheckpointError, match="No space left"):
        write_text_atomic(path, "text")
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_interrupt_leaves_the_old_file_and_nothing_else(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(stream: int) -> None:
        raise KeyboardInterrupt

    before = path.read_bytes()
    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(path, small())
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_killed_process_leaves_the_old_file_intact(path: Path) -> None:
    script = "\n".join(
        [
            "import os, signal, sys",
            "from pathlib import Path",
            "from sleepdefense.checkpoint import Checkpoint, save_checkpoint",
            "os.replace = lambda *names: os.kill(os.getpid(), signal.SIGKILL)",
            "content = Checkpoint(kind='sleep', arrays={}, settings={}, provenance={})",
            "save_checkpoint(Path(sys.argv[1]), content)",
        ]
    )
    assert subprocess.run([sys.executable, "-c", script, path], check=False).returncode != 0
    assert_same(load_checkpoint(path), small())


@pytest.mark.skipif(os.name != "posix", reason="symbolic links need rights elsewhere")
def test_link_stays_and_the_file_it_leads_to_is_replaced(path: Path) -> None:
    link = path.parent / "link.h5"
    link.symlink_to(path)
    save_checkpoint(link, Checkpoint(kind="sleep", arrays={}, settings={}, provenance={}))
    assert link.is_symlink()
    assert load_checkpoint(path).kind == "sleep"


def test_text_is_written_as_it_is(tmp_path: Path) -> None:
    write_text_atomic(tmp_path / "a.json", "ä\r\n\n")
    assert (tmp_path / "a.json").read_bytes() == "ä\r\n\n".encode()
    assert len(list(tmp_path.iterdir())) == 1
