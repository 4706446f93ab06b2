import subprocess
import sys
from typing import Any

import pytest
import torch

from sleepdefense.data import ImageSet
from sleepdefense.errors import DataError


def make(**changes: Any) -> ImageSet:
    """Four images of 2x2 pixels, with intensities 0/15 to 15/15, and some of it changed."""
    images = torch.arange(16, dtype=torch.float32).reshape(4, 1, 2, 2) / 15
    fields = {"name": "dots/train", "images": images, "labels": torch.tensor([0, 2, 1, 2]), "num_classes": 3}
    return ImageSet(**(fields | changes))


def test_take_gives_the_first_images_and_at_most_all() -> None:
    assert len(make()) == 4
    assert make().take(3).labels.tolist() == [0, 2, 1]
    assert torch.equal(make().take(3).images, make().images[:3])
    assert make().take(99).digest == make().digest


def test_part_is_a_range() -> None:
    part = make().part(1, 3)
    assert (part.labels.tolist(), part.name, part.num_classes) == ([2, 1], "dots/train", 3)
    assert make(class_names=("a", "b", "c")).part(1, 3).class_names == ("a", "b", "c")
    assert torch.equal(part.images, make().images[1:3])


@pytest.mark.parametrize("limit", [0, -1])
def test_limit_below_one_is_refused(limit: int) -> None:
    with pytest.raises(DataError, match=f"cannot take {limit} images of 'dots/train'.*at least 1"):
        make().take(limit)


@pytest.mark.parametrize(("first", "last"), [(-1, 2), (2, 2), (3, 1), (0, 5)])
def test_part_outside_is_refused(first: int, last: int) -> None:
    with pytest.raises(
        DataError, match=f"'dots/train' has no part {first}:{last}: expected a range within 0:4"
    ):
        make().part(first, last)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": torch.full((4, 1, 2, 2), 1.5)}, r"intensities from 1.5 to 1.5: expected \[0, 1\]"),
        ({"images": torch.full((4, 1, 2, 2), -0.1)}, "intensities from -0.1"),
        ({"images": torch.full((4, 1, 2, 2), torch.nan)}, "intensities from nan"),
        ({"images": torch.ones(4, 1, 2, 2, dtype=torch.float64)}, "torch.float64.*expected torch.float32"),
        ({"images": torch.ones(0, 1, 2, 2), "labels": torch.ones(0).long()}, "none of them 0"),
        ({"labels": torch.tensor([0, 1, 2, 3])}, "labels of 'dots/train' run from 0 to 3: expected 0 to 2"),
        ({"labels": torch.tensor([0, 1, 2, -1])}, "labels of 'dots/train' run from -1 to 2"),
        ({"labels": torch.zeros(4, dtype=torch.int32)}, "torch.int32.*expected torch.int64"),
        ({"class_names": ("a", "b")}, "'dots/train' names 2 classes: expected 3, one name for each, or none"),
    ],
)
def test_wrong_content_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        make(**changes)


def test_set_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        make().name = "other"  # type: ignore[misc]


def test_digest_is_of_the_content_alone() -> None:
    digest = make().digest
    assert len(digest) == 64
    assert make(name="other").digest == digest
    assert make(images=make().images.transpose(2, 3).contiguous().transpose(2, 3)).digest == digest
    assert make(images=make().images.reshape(4, 2, 2, 1)).digest != digest
    assert make(labels=torch.tensor([0, 2, 1, 1])).digest != digest
    assert make(num_classes=4).digest != digest
    almost = make().images.clone()
    almost[0, 0, 0, 0] = 1e-30
    assert make(images=almost).digest != digest


def test_digest_is_the_same_everywhere() -> None:
    """Computed once; a change here would make old provenance worthless."""
    assert make().digest == "6321ffee76cf1407fe4b1e9795e1bc19cdfb1c3c3e28d764cbd3e70756e79791"


@pytest.mark.slow
def test_lengths_are_compared_without_the_shape_checker_of_the_tests() -> None:
    script = "\n".join(
        [
            "import torch",
            "from sleepdefense.data import ImageSet, PairSet",
            "from sleepdefense.errors import DataError",
            "image, label = torch.ones(4, 1, 2, 2), torch.zeros(3).long()",
            "noisy = torch.zeros(2, 4, 1, 2, 2, dtype=torch.uint8)",
            "for build in (",
            "    lambda: ImageSet(name='dots', images=image, labels=label, num_classes=1),",
            "    lambda: ImageSet(name='dots', images=image[0], labels=label, num_classes=1),",
            "    lambda: PairSet(variants=('a', 'b'), noisy=noisy, clean=image, labels=label),",
            "    lambda: PairSet(variants=('a', 'b'), noisy=noisy[:, 1:], clean=image, labels=label),",
            "):",
            "    try:",
            "        build()",
            "    except DataError as error:",
            "        print(error)",
        ]
    )
    lines = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    expected = "expected torch.int64 of shape (4,), one for each"
    printed = lines.stdout.splitlines()
    assert [expected in line for line in printed] == [True, False, True, False]
    assert "expected torch.float32 of shape (image, channel, height, width)" in printed[1]
    assert "expected torch.uint8 of shape (2, 4, 1, 2, 2)" in printed[3]
