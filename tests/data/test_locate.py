import shutil
from pathlib import Path

import pytest

from sleepdefense.data import describe_datasets
from sleepdefense.data.catalogue import Dataset
from sleepdefense.data.locate import cache_folder, find_folder
from sleepdefense.errors import DataError


def test_named_folder_is_the_only_place(
    tiny: Dataset, tiny_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_folder(tiny, tiny_dir) == tiny_dir / "tiny"
    monkeypatch.setenv("SLEEPDEFENSE_DATA", str(tiny_dir))
    with pytest.raises(
        DataError, match=r"'tiny' is not in .*: expected a folder 'tiny' or 'tiny-too' with train-im"
    ):
        find_folder(tiny, tmp_path)


def test_other_folder_name_is_found(tiny: Dataset, tiny_dir: Path) -> None:
    (tiny_dir / "tiny").rename(tiny_dir / "tiny-too")
    assert find_folder(tiny, tiny_dir) == tiny_dir / "tiny-too"


def test_missing_file_is_named(tiny: Dataset, tiny_dir: Path) -> None:
    (tiny_dir / "tiny" / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match=r"its folder 'tiny' lacks t10k-labels-idx1-ubyte \("):
        find_folder(tiny, tiny_dir)


def test_environment_comes_before_the_cache(
    tiny: Dataset, tiny_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_folder(tiny, None) is None
    shutil.copytree(tiny_dir / "tiny", cache_folder(tiny))
    assert find_folder(tiny, None) == cache_folder(tiny)
    monkeypatch.setenv("SLEEPDEFENSE_DATA", str(tiny_dir))
    assert find_folder(tiny, None) == tiny_dir / "tiny"
    monkeypatch.setenv("SLEEPDEFENSE_DATA", str(tmp_path))  # a folder without it
    assert find_folder(tiny, None) == cache_folder(tiny)


def test_environment_that_names_no_folder_is_an_error(tiny: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLEEPDEFENSE_DATA", "/no/such/folder")
    with pytest.raises(DataError, match="SLEEPDEFENSE_DATA names '/no/such/folder', which is no folder"):
        find_folder(tiny, None)


def test_list_says_where_everything_is(tiny: Dataset, tiny_dir: Path, tmp_path: Path) -> None:
    assert [row.where for row in describe_datasets(tiny_dir)] == ["embedded", str(tiny_dir / "tiny")]
    here, absent = describe_datasets()
    assert here.where == "embedded"
    assert absent.where == f"not here; would be downloaded to {cache_folder(tiny)}"
    assert (absent.name, absent.train, absent.test, absent.shape) == ("tiny", 5, 3, (1, 4, 3))
    assert describe_datasets(tmp_path)[1].where.startswith("not here: data set 'tiny' is not in")
