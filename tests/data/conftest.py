"""A data set of a few images that follows every rule of the real ones."""

import gzip
import hashlib
import struct
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import MappingProxyType

import numpy as np
import pytest
from numpy.typing import NDArray

from sleepdefense.data import catalogue, locate
from sleepdefense.data.catalogue import SPLITS, Dataset


def idx_bytes(values: NDArray[np.uint8]) -> bytes:
    """Write the IDX format: type 8, the number of axes, the axes, the values."""
    return struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape) + values.tobytes()


@pytest.fixture(scope="session")
def write_idx() -> Callable[[Path, NDArray[np.uint8]], bytes]:
    """A function that writes values as an IDX file, compressed where the name ends in .gz."""

    def write(path: Path, values: NDArray[np.uint8]) -> bytes:
        content = idx_bytes(values)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
        return content

    return write


@pytest.fixture
def tiny_levels() -> dict[str, NDArray[np.uint8]]:
    """The content of each of the four files: 5 training and 3 test images of 4x3 pixels."""
    levels = {}
    for split, count in (("train", 5), ("test", 3)):
        images, labels = SPLITS[split]
        levels[images] = np.arange(count * 12, dtype=np.uint8).reshape(count, 4, 3) * 4
        levels[labels] = np.arange(count, dtype=np.uint8) % 2
    return levels


@pytest.fixture
def tiny(
    tiny_levels: dict[str, NDArray[np.uint8]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Dataset:
    """A data set "tiny" in the catalogue, and no way to the user's own folders or the network."""
    dataset = Dataset(
        name="tiny",
        train=5,
        test=3,
        shape=(1, 4, 3),
        num_classes=2,
        licence="none",
        origin="this test",
        folders=("tiny", "tiny-too"),
        md5=MappingProxyType(
            {name: hashlib.md5(idx_bytes(values)).hexdigest() for name, values in tiny_levels.items()}
        ),
        mirrors=("http://127.0.0.1:9/",),  # the discard port: refused at once
    )
    for user in (catalogue, locate):
        monkeypatch.setattr(user, "DATASETS", {"digits": catalogue.DIGITS, "tiny": dataset})
    monkeypatch.setattr("pooch.os_cache", lambda name: tmp_path / "cache" / name)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("SLEEPDEFENSE_DATA", raising=False)
    return dataset


@pytest.fixture
def tiny_dir(
    tiny: Dataset,
    tiny_levels: dict[str, NDArray[np.uint8]],
    tmp_path: Path,
    write_idx: Callable[[Path, NDArray[np.uint8]], bytes],
) -> Path:
    """A data folder that holds it, compressed."""
    for name, values in tiny_levels.items():
        write_idx(tmp_path / "data" / "tiny" / f"{name}.gz", values)
    return tmp_path / "data"


class _Silent(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def serve() -> Iterator[Callable[[Path], str]]:
    """A function that serves a folder on this machine alone and returns its address."""
    servers = []

    def start(folder: Path) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Silent, directory=str(folder)))
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}/"

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()
