import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sleepdefense.data import catalogue, load_data
from sleepdefense.data.catalogue import Dataset
from sleepdefense.errors import DataError


def test_files_become_intensities_and_labels(tiny_dir: Path) -> None:
    train, test = load_data("tiny", data_dir=tiny_dir)
    assert (train.name, test.name, train.num_classes) == ("tiny/train", "tiny/test", 2)
    assert torch.equal(train.images, (torch.arange(60) * 4).reshape(5, 1, 4, 3) / 255)
    assert train.labels.tolist() == [0, 1, 0, 1, 0]
    assert test.images.shape == (3, 1, 4, 3)


def test_limits_take_the_first_images_of_their_split(tiny_dir: Path) -> None:
    everything, _ = load_data("tiny", data_dir=tiny_dir)
    train, test = load_data("tiny", data_dir=tiny_dir, limit=2, test_limit=99)
    assert (len(train), len(test)) == (2, 3)
    assert train.digest == everything.take(2).digest


@pytest.mark.parametrize("option", ["limit", "test_limit"])
def test_limit_below_one_is_refused_before_anything_is_read(tiny: Dataset, option: str) -> None:
    with pytest.raises(DataError, match=f"^{option} is 0: expected at least 1"):
        load_data("tiny", **{option: 0})


def test_unknown_name_is_refused() -> None:
    with pytest.raises(DataError, match="unknown data set 'cifar'"):
        load_data("cifar")


def test_cache_is_filled_once_and_used_again(
    tiny: Dataset, tiny_dir: Path, monkeypatch: pytest.MonkeyPatch, serve: Callable[[Path], str]
) -> None:
    served = replace(tiny, mirrors=(serve(tiny_dir / "tiny"),))
    monkeypatch.setattr(catalogue, "DATASETS", {"tiny": served})
    first, _ = load_data("tiny")
    monkeypatch.setattr(catalogue, "DATASETS", {"tiny": tiny})  # its mirror refuses
    second, _ = load_data("tiny", download=False)
    assert first.digest == second.digest


def test_download_can_be_forbidden(tiny: Dataset) -> None:
    with pytest.raises(DataError, match=r"data set 'tiny' is not here. Put train-images"):
        load_data("tiny", download=False)


def test_other_content_is_refused(
    tiny_dir: Path,
    tiny_levels: dict[str, NDArray[np.uint8]],
    write_idx: Callable[[Path, NDArray[np.uint8]], bytes],
) -> None:
    name = "t10k-images-idx3-ubyte"
    write_idx(tiny_dir / "tiny" / f"{name}.gz", tiny_levels[name] + 1)
    with pytest.raises(DataError, match=f"{name}.gz' has a wrong checksum"):
        load_data("tiny", data_dir=tiny_dir)


def test_images_and_labels_of_other_number_are_refused(
    tiny: Dataset, tiny_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, swapped = tiny_dir / "tiny", dict(tiny.md5)
    (files / "t10k-labels-idx1-ubyte.gz").rename(files / "other.gz")
    (files / "train-labels-idx1-ubyte.gz").rename(files / "t10k-labels-idx1-ubyte.gz")
    (files / "other.gz").rename(files / "train-labels-idx1-ubyte.gz")
    labels = ("train-labels-idx1-ubyte", "t10k-labels-idx1-ubyte")
    swapped[labels[0]], swapped[labels[1]] = swapped[labels[1]], swapped[labels[0]]
    monkeypatch.setattr(catalogue, "DATASETS", {"tiny": replace(tiny, md5=swapped)})
    with pytest.raises(DataError, match="has 5 train images and 3 labels: expected as many"):
        load_data("tiny", data_dir=tiny_dir)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "mean"),
    [("mnist", 0.1307), ("fashion-mnist", 0.2860)],  # the means every tutorial normalises with
)
def test_real_data_loads_fast(mnist_dir: Path, name: str, mean: float) -> None:
    start = time.process_time()
    try:
        train, test = load_data(name, data_dir=mnist_dir)
    except DataError as error:
        if name == "mnist":
            raise
        pytest.skip(f"real {name} not found: {error}")
    seconds = time.process_time() - start
    assert (train.images.shape, test.images.shape) == ((60_000, 1, 28, 28), (10_000, 1, 28, 28))
    assert train.images.mean().item() == pytest.approx(mean, abs=1e-4)
    assert seconds < 5  # measured: 0.8 s of one core; the margin is for slower machines
