"""Downloads, from a server on this machine."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sleepdefense.data import load_data
from sleepdefense.data.catalogue import Dataset
from sleepdefense.data.download import fetch_dataset
from sleepdefense.data.locate import missing_files
from sleepdefense.errors import DataError

Serve = Callable[[Path], str]


def test_first_mirror_that_works_is_used(tiny: Dataset, tiny_dir: Path, tmp_path: Path, serve: Serve) -> None:
    lacking = serve(tmp_path / "data")  # answers 404
    good = serve(tiny_dir / "tiny")
    folder = tmp_path / "new" / "tiny"
    fetch_dataset(replace(tiny, mirrors=(*tiny.mirrors, lacking, good)), folder)
    assert not missing_files(tiny, folder)
    assert len(list(folder.iterdir())) == 4


def test_mirror_with_other_content_is_passed_over(
    tiny: Dataset, tiny_dir: Path, tmp_path: Path, serve: Serve
) -> None:
    wrong = tmp_path / "wrong"
    shutil.copytree(tiny_dir / "tiny", wrong)
    shutil.copy(wrong / "t10k-labels-idx1-ubyte.gz", wrong / "train-labels-idx1-ubyte.gz")
    (wrong / "train-images-idx3-ubyte.gz").write_text("<html>Please log in</html>")
    bad = replace(tiny, mirrors=(serve(wrong),))
    with pytest.raises(
        DataError, match=r"'train-images-idx3-ubyte.gz' could not be downloaded.*magic number"
    ):
        fetch_dataset(bad, tmp_path / "new")
    assert not list((tmp_path / "new").iterdir())
    fetch_dataset(replace(bad, mirrors=(*bad.mirrors, serve(tiny_dir / "tiny"))), tmp_path / "new")
    assert not missing_files(tiny, tmp_path / "new")


def test_files_that_are_there_are_not_fetched_again(
    tiny: Dataset, tiny_dir: Path, tmp_path: Path, serve: Serve
) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "train-labels-idx1-ubyte").write_text("left alone")
    fetch_dataset(replace(tiny, mirrors=(serve(tiny_dir / "tiny"),)), tmp_path / "new")
    assert (tmp_path / "new" / "train-labels-idx1-ubyte").read_text() == "left alone"
    assert not (tmp_path / "new" / "train-labels-idx1-ubyte.gz").exists()


def test_no_network_names_the_folder_to_fill(tiny: Dataset, tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"'tiny' is not here.*http://127.0.0.1:9/.*Put train-im.* into '.*tiny'"
    ) as caught:
        load_data("tiny")
    assert str(tmp_path / "cache" / "sleepdefense" / "tiny") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_folder_that_cannot_be_made_is_one_error(tiny: Dataset, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="could not be downloaded"):
        fetch_dataset(tiny, tmp_path / "file" / "tiny")
