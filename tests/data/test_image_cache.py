import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from sleepdefense.data.image_cache import cached_images
from sleepdefense.errors import DataError

SHAPE = (2, 3)
IMAGES = np.arange(5 * 6, dtype=np.uint8).reshape(5, *SHAPE)


class Decoder:
    """Gives images and remembers which were asked for."""

    def __init__(self) -> None:
        self.decoded: list[int] = []

    def __call__(self, first: int, last: int) -> Iterator[NDArray[np.uint8]]:
        for index in range(first, last):
            self.decoded.append(index)
            yield IMAGES[index]


def test_every_image_is_decoded_once(tmp_path: Path) -> None:
    path, decode = tmp_path / "new" / "faces.npy", Decoder()
    for count, decoded in ((2, [0, 1]), (1, [0, 1]), (4, [0, 1, 2, 3]), (5, [0, 1, 2, 3, 4])):
        np.testing.assert_array_equal(cached_images(path, count, SHAPE, decode), IMAGES[:count])
        assert decode.decoded == decoded
    assert [file.name for file in path.parent.iterdir()] == ["faces.npy"]


def test_the_file_is_a_plain_array(tmp_path: Path) -> None:
    cached_images(tmp_path / "faces.npy", 5, SHAPE, Decoder())
    np.testing.assert_array_equal(np.load(tmp_path / "faces.npy", allow_pickle=False), IMAGES)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-1],
        lambda content: content + b"\0",
        lambda content: content[:-6],
        lambda content: b"",
        lambda content: content.replace(b"|u1", b"|O8"),
        lambda content: content.replace(b"(5, 2, 3)", b"(5, 3, 2)"),
    ],
    ids=["truncated", "too long", "an image short", "empty", "objects", "another shape"],
)
def test_a_damaged_file_is_made_anew(tmp_path: Path, damage) -> None:
    path, decode = tmp_path / "faces.npy", Decoder()
    cached_images(path, 5, SHAPE, Decoder())
    content = path.read_bytes()
    assert damage(content) != content
    path.write_bytes(damage(content))
    np.testing.assert_array_equal(cached_images(path, 2, SHAPE, decode), IMAGES[:2])
    assert decode.decoded == [0, 1]


def test_a_failure_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "faces.npy"
    cached_images(path, 2, SHAPE, Decoder())
    before = path.read_bytes()

    def fail(first: int, last: int) -> Iterator[NDArray[np.uint8]]:
        yield IMAGES[first]
        raise DataError("no more")

    with pytest.raises(DataError, match="no more"):
        cached_images(path, 5, SHAPE, fail)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["faces.npy"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match=r"cannot keep decoded images in '.*/file/faces': .*XDG_CACHE_HOME"):
        cached_images(tmp_path / "file" / "faces" / "a.npy", 1, SHAPE, Decoder())
