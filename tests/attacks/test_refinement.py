import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sleepdefense.attacks.distance import distances
from sleepdefense.attacks.refinement import refine_binarised

# dyadic and other thresholds; pixels lie at them, next to them and anywhere
THRESHOLDS = (0.5, 0.3, 0.1, 1.0)


def pixels(threshold: float) -> st.SearchStrategy[list[float]]:
    at = torch.tensor(threshold)
    special = [0.0, 1.0, float(at), float(torch.nextafter(at, torch.tensor(0.0)))]
    return st.lists(st.sampled_from(special) | st.floats(0, 1, width=32), min_size=6, max_size=6)


@given(st.data(), st.sampled_from(THRESHOLDS))
def test_what_is_seen_stays_and_no_distance_grows(data: st.DataObject, threshold: float) -> None:
    images = torch.tensor(data.draw(pixels(threshold))).reshape(1, 2, 1, 3)
    attacked = torch.tensor(data.draw(pixels(threshold))).reshape(1, 2, 1, 3)
    refined = refine_binarised(images, attacked, threshold)
    assert torch.equal(refined >= threshold, attacked >= threshold)
    assert bool(((refined - images).abs() <= (attacked - images).abs()).all())
    for norm in ("L0", "L1", "L2", "Linf"):
        assert float(distances(images, refined, norm)) <= float(distances(images, attacked, norm))
    assert 0 <= float(refined.min()) <= float(refined.max()) <= 1
    assert torch.equal(refine_binarised(images, refined, threshold), refined)


def test_a_changed_pixel_goes_just_over_the_threshold() -> None:
    images = torch.tensor([0.4, 0.4, 0.9, 0.9]).reshape(1, 1, 2, 2)
    attacked = torch.tensor([1.0, 0.1, 0.0, 0.6]).reshape(1, 1, 2, 2)
    below = 0.5 - 2.0**-25  # the float32 before one half
    expected = torch.tensor([0.5, 0.4, below, 0.9]).reshape(1, 1, 2, 2)
    assert torch.equal(refine_binarised(images, attacked, 0.5), expected)


def test_foolbox_does_the_same() -> None:
    foolbox = pytest.importorskip("foolbox")
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(20, 1, 3, 3, generator=generator)
    attacked = torch.rand(20, 1, 3, 3, generator=generator)

    def network(
        image: torch.Tensor,
    ) -> torch.Tensor:  # says where the original image was white, and where not
        seen = (image >= 0.5).float().flatten(1)
        return torch.stack([-(seen - (attacked >= 0.5).float().flatten(1)).abs().sum(1), seen.sum(1) * 0], 1)

    refiner = foolbox.attacks.BinarizationRefinementAttack(threshold=0.5, included_in="upper")
    model = foolbox.models.PyTorchModel(torch.nn.Identity().eval(), bounds=(0, 1), device="cpu")
    model._model = lambda x: network(getattr(x, "raw", x))
    # label 1: every attacked image is "wrong" because the first logit, 0, is not below the second
    labels = torch.ones(20, dtype=torch.int64)
    found = refiner.run(model, images, foolbox.criteria.Misclassification(labels), starting_points=attacked)
    torch.testing.assert_close(found, refine_binarised(images, attacked, 0.5), rtol=0, atol=1e-7)
