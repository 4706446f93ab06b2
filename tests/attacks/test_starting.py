import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from quadrants import Quadrants, make_images
from small_attacks import Sums

from sleepdefense.attacks.starting import StartingPool, make_pool
from sleepdefense.errors import ConfigError


@given(seed=st.integers(0, 1000), norm=st.sampled_from(["L0", "L1", "L2", "Linf"]))
def test_the_nearest_image_of_another_class_is_found(seed, norm):
    generator = torch.Generator().manual_seed(seed)
    pool = StartingPool(
        images=torch.rand(9, 1, 3, 3, generator=generator),
        predicted=torch.randint(0, 3, (9,), generator=generator),
    )
    images = torch.rand(4, 1, 3, 3, generator=generator)
    labels = torch.randint(0, 3, (4,), generator=generator)
    starts = pool.nearest(images, labels, norm)
    for image, label, start, is_found in zip(images, labels, *starts, strict=True):
        others = [other for other, seen in zip(*(pool.images, pool.predicted), strict=True) if seen != label]
        assert bool(is_found) == bool(others)
        order = 1 if norm in ("L0", "L1") else 2
        nearest = min(others, key=lambda other: float((other - image).flatten().norm(p=order)), default=image)
        assert torch.equal(start, nearest)


def test_a_pool_of_one_class_has_no_start_for_it():
    data = make_images(4)
    pool = StartingPool(images=data.images, predicted=torch.zeros(4, dtype=torch.int64))
    starts = pool.nearest(data.images, torch.tensor([0, 0, 1, 2]), "L2")
    assert starts.is_found.tolist() == [False, False, True, True]
    assert torch.equal(starts.images[:2], data.images[:2])


def test_the_model_says_what_is_in_the_pool():
    data = make_images(10)
    pool = make_pool(Sums(), data.images, batch_size=3)
    assert torch.equal(pool.predicted, data.labels)
    model = Quadrants().train()
    make_pool(model, data.images)
    assert model.training
    assert torch.equal(model.norm.running_mean, torch.zeros(4))


@pytest.mark.parametrize(("count", "batch_size"), [(0, 4), (4, 0)])
def test_a_pool_without_images_is_refused(count, batch_size):
    with pytest.raises(ConfigError, match=f"got {count} images and a batch_size of {batch_size}"):
        make_pool(Sums(), make_images(4).images[:count], batch_size=batch_size)


def test_a_pool_of_another_size_is_refused():
    pool = make_pool(Sums(), make_images(4).images)
    with pytest.raises(ConfigError, match=r"holds images of the shape \(1, 8, 8\), but .* \(1, 4, 4\)"):
        pool.nearest(torch.zeros(2, 1, 4, 4), torch.zeros(2, dtype=torch.int64), "L2")
