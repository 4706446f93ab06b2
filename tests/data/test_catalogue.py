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
    assert not dataset.class_names or len(dataset.class_names) == dataset.num_classes
    if dataset.is_embedded:
        assert not dataset.files
        assert not dataset.mirrors
        return
    if dataset.attributes:
        assert dataset.num_classes == 2 ** len(dataset.attributes)
        assert dataset.page.startswith("https://")
        assert "research only" in dataset.licence
        assert not dataset.mirrors
        return
    assert set(dataset.md5) == {file for files in SPLITS.values() for file in files}
    assert all(len(md5) == 32 for md5 in dataset.md5.values())
    assert dataset.folders
    assert len(dataset.mirrors) >= 2
    assert all(mirror.endswith("/") for mirror in dataset.mirrors)


def test_sets_of_attributes_hold_one_another() -> None:
    two, four, six = (DATASETS[f"celeba-{count}"].attributes for count in (2, 4, 6))
    assert (len(two), len(four), len(six)) == (2, 4, 6)
    assert six[:4] == four
    assert four[:2] == two
    assert {"Attractive", "Gray_Hair", "Bald", "Wearing_Lipstick"} == set(four)
    assert DATASETS["celeba"].attributes == ("Male",)
