import pytest

from sleepdefense.data import DATASETS
from sleepdefense.data.catalogue import SPLITS, find_dataset
from sleepdefense.errors import DataError


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(
        DataError, match="unknown data set 'minst': expected one of digits, mnist, fashion-mnist"
    ):
        find_dataset("minst")


@pytest.mark.parametrize("name", DATASETS)
def test_description_is_complete(name: str) -> None:
    dataset = DATASETS[name]
    assert dataset.name == name
    assert dataset.licence
    assert dataset.origin
    if dataset.is_embedded:
        assert not dataset.folders
        assert not dataset.mirrors
        return
    assert set(dataset.md5) == {file for files in SPLITS.values() for file in files}
    assert all(len(md5) == 32 for md5 in dataset.md5.values())
    assert dataset.folders
    assert len(dataset.mirrors) >= 2
    assert all(mirror.endswith("/") for mirror in dataset.mirrors)
