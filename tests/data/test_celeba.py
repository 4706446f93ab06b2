import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_faces import ANSWERS, NAMES, TinyFaces, photograph, to_jpeg

from sleepdefense.data import DATASETS, celeba, describe_datasets, load_celeba, load_data, locate
from sleepdefense.errors import DataError

TRAIN, TEST = ("000001.jpg", "000003.jpg", "000006.jpg"), ("000002.jpg", "000005.jpg")


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache, and no way to the user's own folders."""
    monkeypatch.setattr("pooch.os_cache", lambda name: tmp_path / "cache" / name)
    monkeypatch.delenv("SLEEPDEFENSE_DATA", raising=False)
    return tmp_path / "cache" / "sleepdefense" / "celeba"


@pytest.fixture
def data(cache: Path, tmp_path: Path) -> Path:
    return TinyFaces().write(tmp_path / "data")


def test_gender_is_the_label(data: Path) -> None:
    train, test = load_data("celeba", data_dir=data)
    assert (train.name, test.name) == ("celeba-part/train", "celeba-part/test")
    assert (train.num_classes, train.class_names) == (2, ("female", "male"))
    assert train.labels.tolist() == [int(ANSWERS[name][1] == 1) for name in TRAIN] == [1, 0, 0]
    assert test.labels.tolist() == [int(ANSWERS[name][1] == 1) for name in TEST]
    assert train.images.shape == (3, 3, 64, 64)
    assert train.images.dtype == torch.float32
    assert len({image.numpy().tobytes() for part in (train, test) for image in part.images}) == 5


def test_any_attributes_can_be_asked_for(data: Path) -> None:
    train, test = load_celeba(("Smiling", "Bald"), name="mine", data_dir=data, limit=2, test_limit=9)
    assert (train.name, train.names, len(train), len(test)) == ("mine-part/train", ("Smiling", "Bald"), 2, 2)
    for part, names in ((train, TRAIN[:2]), (test, TEST)):
        expected = [[ANSWERS[name][2] == 1, ANSWERS[name][0] == 1] for name in names]
        assert part.attributes.tolist() == expected


def test_data_set_of_several_attributes_gives_joint_classes(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = replace(DATASETS["celeba-2"], attributes=("Bald", "Smiling"))
    monkeypatch.setattr("sleepdefense.data.catalogue.DATASETS", {"celeba-2": tiny})
    train, _ = load_data("celeba-2", data_dir=data)
    assert train.labels.tolist() == [0, 2, 2]
    assert (train.num_classes, train.class_names[3]) == (4, "Bald+Smiling")


def test_unpacked_and_packed_images_are_the_same(data: Path, tmp_path: Path) -> None:
    unpacked = TinyFaces().write(tmp_path / "unpacked", unpacked=True)
    for packed, loose in zip(
        load_data("celeba", data_dir=data), load_data("celeba", data_dir=unpacked), strict=True
    ):
        assert packed.digest == loose.digest


@pytest.mark.parametrize(
    ("size", "box"), [((178, 218), (15, 35, 163, 183)), ((89, 109), (8, 17, 82, 91))], ids=["full", "half"]
)
def test_exactly_the_central_square_is_used(
    cache: Path, tmp_path: Path, size: tuple[int, int], box: tuple[int, int, int, int]
) -> None:
    """A blue square with a green upper left quarter, on red: one pixel off tints an edge by a third."""
    left, top, right, bottom = box
    levels = np.zeros((size[1], size[0], 3), dtype=np.uint8)
    levels[..., 0] = 255
    levels[top:bottom, left:right] = (0, 0, 255)
    levels[top : (top + bottom) // 2, left : (left + right) // 2] = (0, 255, 0)
    tiny = TinyFaces()
    tiny.photographs["000001.jpg"] = to_jpeg(Image.fromarray(levels))
    train, _ = load_data("celeba", data_dir=tiny.write(tmp_path), limit=1)
    red, green, blue = train.images[0]
    assert red.max() < 0.05
    assert green[:30, :30].min() > 0.95
    assert min(blue[34:].min(), blue[:, 34:].min()) > 0.95


def test_bytes_become_intensities_once(data: Path, cache: Path) -> None:
    """The second time nothing is decoded: the photographs may be broken by then."""
    first, _ = load_data("celeba", data_dir=data)
    archive = data / "celeba" / "img_align_celeba.zip"
    content = archive.read_bytes()
    broken = content.replace(b"\xff\xda", b"\0\0")  # the marker of a JPEG's pixels
    assert broken != content
    archive.write_bytes(broken)
    again, _ = load_data("celeba", data_dir=data)
    assert again.digest == first.digest
    for file in cache.iterdir():
        file.unlink()
    with pytest.raises(DataError, match="Bad CRC-32"):
        load_data("celeba", data_dir=data)


def test_limits_decode_no_more_than_they_need(data: Path, cache: Path) -> None:
    everything, _ = load_data("celeba", data_dir=data)
    for file in cache.iterdir():
        file.unlink()
    sizes = []
    for limit in (1, 3, 2):
        train, test = load_data("celeba", data_dir=data, limit=limit, test_limit=1)
        assert (len(train), len(test)) == (limit, 1)
        assert train.digest == everything.take(limit).digest
        sizes.append(sum(file.stat().st_size for file in cache.iterdir()) // (3 * 64 * 64))
    assert sizes == [2, 4, 4]


def test_other_images_of_the_same_names_are_decoded_anew(data: Path) -> None:
    before, same = load_data("celeba", data_dir=data)
    tiny = TinyFaces()
    tiny.photographs["000003.jpg"] = photograph(99)
    tiny.write(data)
    after, test = load_data("celeba", data_dir=data)
    assert torch.equal(after.images[::2], before.images[::2])
    assert not torch.equal(after.images[1], before.images[1])
    assert test.digest == same.digest


def test_the_official_split_has_the_official_name(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for user in (celeba, locate):
        monkeypatch.setattr(user, "OFFICIAL_SIZES", {"train": 3, "validation": 1, "test": 2})
    train, _ = load_data("celeba", data_dir=data)
    assert train.name == "celeba/train"
    assert {row.where for row in describe_datasets(data) if "celeba" in row.name} == {str(data / "celeba")}


def test_the_list_of_data_sets_warns_of_a_part(data: Path) -> None:
    rows = [row for row in describe_datasets(data) if row.name.startswith("celeba")]
    assert [row.name for row in rows] == ["celeba", "celeba-2", "celeba-4", "celeba-6"]
    for row in rows:
        assert row.where.startswith(str(data / "celeba"))
        assert "split of its own: 3 training, 1 validation and 2 test images; not comparable" in row.where


def test_nothing_is_downloaded(cache: Path, tmp_path: Path) -> None:
    expected = (
        r"is not here\. Get it from https://mmlab.* \(non-commercial research only.*Put img_align_celeba"
    )
    with pytest.raises(DataError, match=expected):
        load_data("celeba")
    assert "Get it from https://mmlab" in next(
        row.where for row in describe_datasets() if row.name == "celeba-4"
    )
    with pytest.raises(
        DataError, match=r"expected a folder 'celeba' with img_align_celeba.zip.*also unpacked"
    ):
        load_data("celeba", data_dir=tmp_path)


def test_files_in_the_users_cache_are_found(cache: Path) -> None:
    TinyFaces().write(cache.parent)
    assert len(load_data("celeba")[0]) == 3


@pytest.mark.parametrize("limit", [{"limit": 0}, {"test_limit": -1}], ids=str)
def test_limit_below_one_is_refused(data: Path, limit: dict[str, int]) -> None:
    with pytest.raises(DataError, match=r"imit is .*: expected at least 1"):
        load_celeba(data_dir=data, **limit)


def _photographs(**change: bytes) -> TinyFaces:
    tiny = TinyFaces()
    for name, content in change.items():
        tiny.photographs[f"{name[1:]}.jpg"] = content
    return tiny


def _without(name: str) -> TinyFaces:
    tiny = TinyFaces()
    del tiny.photographs[name]
    return tiny


def _replaced(file: str, old: str, new: str) -> TinyFaces:
    tiny = TinyFaces()
    content = getattr(tiny, file)
    assert old in content
    setattr(tiny, file, content.replace(old, new, 1))
    return tiny


@pytest.mark.parametrize("unpacked", [False, True], ids=["packed", "unpacked"])
@pytest.mark.parametrize(
    ("tiny", "message"),
    [
        (
            _photographs(_000003=photograph(0, (64, 64))),
            "000003.jpg' has 64x64 pixels: expected 178x218 or 89x109",
        ),
        (_photographs(_000003=b"no picture"), "000003.jpg' is no JPEG image, or is damaged"),
        (_photographs(_000005=photograph(4)[:2000]), "000005.jpg' is no JPEG image, or is damaged"),
        (
            _photographs(_000003=b"\xff\xd8" + bytes(2**22)),
            "000003.jpg' has 4194306 bytes: expected a photograph",
        ),
        (_without("000006.jpg"), "lacks '.*000006.jpg', which the partition lists"),
        (
            _replaced("attributes", "Male", "Man"),
            "list_attr_celeba.txt' has no attribute 'Male': expected one of Bald, Man, Smiling",
        ),
        (_replaced("attributes", "6\r\n", "7\r\n"), "announces 7 images and has lines for 6"),
        (_replaced("attributes", "6\r\n", ""), "begins with 'Bald Male Smiling': expected the number of im"),
        (
            _replaced("attributes", "000003.jpg -1 -1", "000003.jpg -1 0"),
            "has '0' for 'Male' of '000003.jpg': expected 1 or -1",
        ),
        (_replaced("attributes", "000004.jpg -1", "000004.jpg"), "has 3 values for '000004.jpg'"),
        (_replaced("attributes", "000006.jpg", "000007.jpg"), "lacks '000006.jpg', which the partition"),
        (_replaced("partition", "000003.jpg 0", "000003.jpg 3"), "'000003.jpg' into part '3': expected 0"),
        (_replaced("partition", "000003.jpg 0", "000001.jpg 2"), "line '000001.jpg 2', again"),
        (_replaced("partition", "000003.jpg 0", "000003.jpg"), "line '000003.jpg', which is no file name"),
        (replace(TinyFaces(), partition=""), "list_eval_partition.txt' is empty"),
        (replace(TinyFaces(), partition="000001.jpg 0\n"), "puts no image into the test part"),
        (
            _replaced("identities", "000002.jpg 8", "000002.jpg 7"),
            "1 people of .*identity_CelebA.txt' are in the training and in the test part",
        ),
        (_replaced("identities", "000002.jpg 8\n", ""), "lacks '000002.jpg', which the partition lists: rem"),
    ],
)
def test_what_does_not_fit_is_named(
    cache: Path, tmp_path: Path, tiny: TinyFaces, message: str, unpacked: bool
) -> None:
    with pytest.raises(DataError, match=message):
        load_data("celeba", data_dir=tiny.write(tmp_path, unpacked=unpacked))
    assert not list(cache.glob("*.tmp"))


def test_identities_are_optional(cache: Path, tmp_path: Path) -> None:
    tiny = replace(TinyFaces(), identities=None)
    assert len(load_data("celeba", data_dir=tiny.write(tmp_path))[0]) == 3


def test_tables_that_are_no_text_are_refused(data: Path) -> None:
    (data / "celeba" / "list_attr_celeba.txt").write_bytes(b"\xff\xfe\0")
    with pytest.raises(DataError, match=r"cannot read '.*list_attr_celeba.txt'"):
        load_data("celeba", data_dir=data)


def test_an_archive_that_is_none_is_refused(data: Path) -> None:
    (data / "celeba" / "img_align_celeba.zip").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"cannot read '.*img_align_celeba.zip': File is not a zip file"):
        load_data("celeba", data_dir=data)


def test_every_name_is_used() -> None:
    assert {*TRAIN, *TEST} == {name for name in NAMES if name != "000004.jpg"}


@pytest.mark.long
def test_real_faces_load(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("pooch.os_cache", lambda name: tmp_path)
    folder = Path(os.environ.get("SLEEPDEFENSE_DATA", "nowhere"))
    if not (folder / "celeba").is_dir():
        pytest.skip("real CelebA not found: set SLEEPDEFENSE_DATA to a folder that contains celeba/")
    train, test = load_data("celeba", data_dir=folder, limit=7000, test_limit=1900)
    assert (len(train), len(test)) == (7000, 1900)
    start = time.process_time()
    again, _ = load_data("celeba", data_dir=folder, limit=7000, test_limit=1900)
    assert time.process_time() - start < 5  # measured: 1 s, and 5 s the first time; decoding every image
    assert torch.equal(again.images, train.images)
    # Measured on the first 10,000 images: 42.2 % men.
    assert train.labels.float().mean().item() == pytest.approx(0.42, abs=0.02)
    # Eyes are darker than the cheeks under them: a face in the middle, the right way up.
    mean = train.images.mean(dim=(0, 1))
    assert mean[31:35, 20:27].mean() < mean[40:45, 17:24].mean() - 0.05
