import pytest
import torch
from torch import Tensor, nn

from sleepdefense.attacks.targeted_descent import all_targets, descend_adam, descend_lbfgs
from sleepdefense.errors import ConfigError

ATTACKS = {"adam": descend_adam, "lbfgs": descend_lbfgs}


class _Quadrants(nn.Module):
    """Four classes: the brightest quarter of the image wins; `sharp` multiplies the logits."""

    def __init__(self, sharp: float = 1.0) -> None:
        super().__init__()
        self.sharp = nn.Parameter(torch.tensor(sharp))

    def forward(self, image: Tensor) -> Tensor:
        means = nn.functional.avg_pool2d(image, image.shape[-1] // 2).flatten(1)
        return means * self.sharp


def _sources() -> Tensor:
    images = torch.full((4, 1, 4, 4), 0.2)
    for quarter in range(4):
        row, column = 2 * (quarter // 2), 2 * (quarter % 2)
        images[quarter, :, row : row + 2, column : column + 2] = 0.7
    return images


def _run(name: str, model: nn.Module, images: Tensor, target: Tensor, loss: str, count: int = 200):  # type: ignore[no-untyped-def]
    if name == "adam":
        return descend_adam(model, images, target, steps=count, learning_rate=0.02, loss=loss)
    return descend_lbfgs(model, images, target, iterations=count, loss=loss)


@pytest.mark.parametrize("loss", ["ce", "margin"])
@pytest.mark.parametrize("name", sorted(ATTACKS))
def test_every_target_is_reached(name: str, loss: str) -> None:
    model = _Quadrants(5.0)
    images, target, source = all_targets(_sources(), 4)
    found = _run(name, model, images, target, loss)
    assert len(images) == 12
    assert bool(found.found.all())
    assert torch.equal(model(found.images).argmax(1), target)
    assert torch.equal(model(images).argmax(1), source)
    assert 0 <= float(found.images.min()) <= float(found.images.max()) <= 1
    assert bool((found.moved > 0).all())
    assert bool((found.iterations > 0).all())
    assert model.sharp.grad is None


@pytest.mark.parametrize("name", sorted(ATTACKS))
def test_a_flat_cross_entropy_stops_it_and_a_margin_does_not(name: str) -> None:
    model = _Quadrants(1e4)  # float32 cannot tell the softmax from 0 and 1
    images, target, _ = all_targets(_sources(), 4)
    flat = model(images).softmax(1)
    assert float(flat.detach().max(1).values.min()) == 1.0
    assert bool(_run(name, model, images, target, "margin").found.all())


def test_a_zero_gradient_is_told() -> None:
    class Deaf(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            return image.flatten(1)[:, :3] * 0 + torch.tensor([1.0, 0.0, 0.0])

    for name in ATTACKS:
        found = _run(name, Deaf(), torch.rand(2, 1, 2, 2), torch.tensor([0, 1]), "ce", 5)
        assert found.found.tolist() == [True, False]
        assert found.stuck.tolist() == [False, True]
        assert found.iterations[0] == 0


def test_images_do_not_affect_each_other() -> None:
    model = _Quadrants(5.0)
    images, target, _ = all_targets(_sources(), 4)
    for name in ATTACKS:
        together = _run(name, model, images, target, "ce")
        alone = _run(name, model, images[3:4], target[3:4], "ce")
        torch.testing.assert_close(together.images[3:4], alone.images)
        assert together.iterations[3] == alone.iterations[0]


def test_wrong_settings_are_named() -> None:
    image, target = torch.rand(1, 1, 4, 4), torch.tensor([0])
    with pytest.raises(ConfigError, match="expected one iteration or more, got 0"):
        descend_lbfgs(_Quadrants(), image, target, iterations=0)
    with pytest.raises(ConfigError, match="there is no loss 'dlr': expected one of ce, margin"):
        descend_adam(_Quadrants(), image, target, loss="dlr")
    with pytest.raises(ConfigError, match="'learning_rate' must be > 0"):
        descend_adam(_Quadrants(), image, target, learning_rate=0.0)
    with pytest.raises(ConfigError, match="one image for each of 5 classes, got 4"):
        all_targets(_sources(), 5)
