from typing import Any

import pytest
import torch

from sleepdefense.data import PairSet, to_8_bit, to_intensities
from sleepdefense.errors import DataError


def make(**changes: Any) -> PairSet:
    """Two variants of three images of 1x2 pixels: levels 0 to 11."""
    fields = {
        "variants": ("FGSM:0.3", "FGSM:0.1"),
        "noisy": torch.arange(12, dtype=torch.uint8).reshape(2, 3, 1, 1, 2),
        "clean": torch.full((3, 1, 1, 2), 0.5),
        "labels": torch.tensor([3, 1, 4]),
    }
    return PairSet(**(fields | changes))


def test_every_noisy_image_counts() -> None:
    assert len(make()) == 6


def test_batch_is_chosen_by_variant_and_image() -> None:
    batch = make().noisy_batch(torch.tensor([1, 0, 1]), torch.tensor([2, 0, 2]))
    assert batch.dtype == torch.float32
    assert torch.equal(batch, torch.tensor([[10, 11], [0, 1], [10, 11]]).reshape(3, 1, 1, 2) / 255)


def test_every_8_bit_level_survives_as_an_intensity() -> None:
    levels = torch.arange(256).to(torch.uint8)
    assert torch.equal(to_8_bit(to_intensities(levels)), levels)
    assert to_intensities(levels)[[0, 255]].tolist() == [0.0, 1.0]


def test_rounding_to_8_bits_is_off_by_half_a_level_at_most() -> None:
    image = torch.linspace(0, 1, 10_001)
    assert (to_intensities(to_8_bit(image)) - image).abs().max() <= 0.5 / 255 + 1e-7


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"variants": ("one",)}, r"expected torch.uint8 of shape \(1, 3, 1, 1, 2\)"),
        ({"clean": torch.full((3, 1, 1, 2), 2.0)}, "the images of 'clean' have intensities from 2 to 2"),
        ({"labels": torch.zeros(3, dtype=torch.int32)}, "torch.int32.*expected torch.int64"),
    ],
)
def test_parts_that_do_not_fit_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        make(**changes)


def test_digest_sees_every_part() -> None:
    digest = make().digest
    assert make().digest == digest
    assert make(variants=("FGSM:0.3", "FGSM:0.2")).digest != digest
    assert make(noisy=make().noisy.flip(0)).digest != digest
    assert make(clean=make().clean / 2).digest != digest
    assert make(labels=torch.tensor([3, 1, 5])).digest != digest
