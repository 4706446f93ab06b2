import gzip
import hashlib
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_array_equal

from sleepdefense.data.idx import read_idx
from sleepdefense.errors import DataError

# Three images of 2x2 pixels, written by hand: 00 00 08 03, then 3, 2, 2 as big-endian 32-bit integers.
THREE = bytes.fromhex("00000803000000030000000200000002") + bytes(range(12))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "images-idx3-ubyte"


def test_file_written_by_hand_is_read(path: Path) -> None:
    path.write_bytes(THREE)
    values = read_idx(path, num_axes=3, md5=hashlib.md5(THREE).hexdigest())
    assert values.dtype == np.uint8
    assert values.tolist() == [[[0, 1], [2, 3]], [[4, 5], [6, 7]], [[8, 9], [10, 11]]]


def test_gzip_is_known_by_content_not_by_name(path: Path) -> None:
    path.write_bytes(gzip.compress(THREE))
    assert read_idx(path, num_axes=3).sum() == 66
    other = path.with_suffix(".gz")
    other.write_bytes(THREE)
    assert read_idx(other, num_axes=3).sum() == 66


@given(
    values=hnp.arrays(np.uint8, hnp.array_shapes(min_dims=1, max_dims=3, max_side=5)), packed=st.booleans()
)
def test_any_values_survive_the_round_trip(
    tmp_path_factory: pytest.TempPathFactory,
    write_idx: Callable[[Path, np.ndarray], bytes],
    values: np.ndarray,
    packed: bool,
) -> None:
    path = tmp_path_factory.mktemp("idx") / ("values.gz" if packed else "values")
    write_idx(path, values)
    assert_array_equal(read_idx(path, num_axes=values.ndim), values, strict=True)


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (b"\x00\x00\x08\x01", "magic number 0x00000801: expected 0x00000803, an IDX file of unsigned bytes"),
        (b"\x00\x00\x0d\x03", "magic number 0x00000d03"),
        (b"PNG!", "magic number 0x504e4721"),
    ],
)
def test_wrong_magic_number_is_shown(path: Path, start: bytes, message: str) -> None:
    path.write_bytes(start + THREE[4:])
    with pytest.raises(DataError, match=message) as caught:
        read_idx(path, num_axes=3)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("length", range(len(THREE)))
def test_file_truncated_anywhere_is_refused(path: Path, length: int, packed: bool) -> None:
    path.write_bytes(gzip.compress(THREE[:length]) if packed else THREE[:length])
    with pytest.raises(DataError, match=r"idx3-ubyte' (is truncated|begins with the magic number)"):
        read_idx(path, num_axes=3)


def test_gzip_stream_truncated_anywhere_is_refused(path: Path) -> None:
    packed = gzip.compress(THREE)
    for length in range(len(packed)):
        path.write_bytes(packed[:length])
        with pytest.raises(DataError, match=r"idx3-ubyte'"):
            read_idx(path, num_axes=3)


@given(place=st.integers(0, len(gzip.compress(THREE)) - 1), mask=st.integers(1, 255))
def test_flipped_bytes_are_noticed(tmp_path_factory: pytest.TempPathFactory, place: int, mask: int) -> None:
    path = tmp_path_factory.mktemp("flip") / "images.gz"
    packed = bytearray(gzip.compress(THREE))
    packed[place] ^= mask
    path.write_bytes(packed)
    try:
        values = read_idx(path, num_axes=3, md5=hashlib.md5(THREE).hexdigest())
    except DataError:
        return
    assert values.tobytes() == THREE[16:]  # a flip in gzip's own header, such as its date


def test_wrong_checksum_shows_both(path: Path) -> None:
    path.write_bytes(THREE)
    with pytest.raises(DataError, match=f"md5 of .* is {hashlib.md5(THREE).hexdigest()}, expected 0{{32}}"):
        read_idx(path, num_axes=3, md5="0" * 32)


def test_bytes_behind_the_end_are_refused(path: Path) -> None:
    path.write_bytes(THREE + b"\0")
    with pytest.raises(DataError, match="goes on behind its end: it declares 12 values"):
        read_idx(path, num_axes=3)


@pytest.mark.parametrize("shape", [(0, 28, 28), (2**32 - 1, 2**32 - 1, 2**32 - 1), (2**30, 1, 2)])
def test_absurd_size_is_refused_before_reading(path: Path, shape: tuple[int, int, int]) -> None:
    path.write_bytes(b"\0\0\x08\x03" + struct.pack(">3I", *shape))
    with pytest.raises(DataError, match=r"declares \d+ values of shape .*: expected 1 to 1073741824"):
        read_idx(path, num_axes=3)


@pytest.mark.parametrize("shape", [(3, 2, 2), (2**20, 32, 32)], ids=["declares little", "declares much"])
def test_memory_follows_what_is_there(path: Path, shape: tuple[int, int, int]) -> None:
    """A gzip bomb declares little and holds much; a lying header declares 1 GiB and holds nothing."""
    header = b"\0\0\x08\x03" + struct.pack(">3I", *shape)
    path.write_bytes(gzip.compress(header + bytes(2**26 if shape[0] == 3 else 12)))
    tracemalloc.start()
    with pytest.raises(DataError, match=r"goes on behind its end|is truncated"):
        read_idx(path, num_axes=3)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**22  # 4 MiB of the 64 MiB that are packed, or the 1 GiB declared


def test_missing_file_and_folder_are_clear(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read '.*none': .*No such file"):
        read_idx(tmp_path / "none", num_axes=3)
    with pytest.raises(DataError, match="cannot read"):
        read_idx(tmp_path, num_axes=3)
