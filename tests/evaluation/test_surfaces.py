import pytest
import torch
from quadrants import Quadrants
from torch import Tensor, nn

from sleepdefense.attacks.any_of import AnyOf
from sleepdefense.attacks.eot import EOT
from sleepdefense.evaluation.surfaces import find_surfaces
from sleepdefense.evaluation.systems import make_system
from sleepdefense.models import Binarised, BinaryCNN, Purified


class Random(Quadrants):
    def one_draw(self, images: Tensor, *, seed: int) -> Tensor:
        return self(images) + torch.randn(1, 4, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("model", [Quadrants(), lambda images: images.flatten(1)], ids=["module", "callable"])
def test_an_ordinary_model_is_attacked_as_it_is(model) -> None:
    assert find_surfaces(model) == {"white-box": model}


@pytest.mark.parametrize("model", [Binarised(Quadrants(), 0.3), BinaryCNN(width=2, size=12, threshold=0.3)])
def test_a_binarised_model_is_attacked_through_its_proxies(model: nn.Module) -> None:
    surfaces = find_surfaces(model)
    assert list(surfaces) == ["white-box", "adaptive", "black-box-query"]
    assert surfaces["white-box"] is model
    adaptive, query = surfaces["adaptive"], surfaces["black-box-query"]
    assert isinstance(adaptive, AnyOf)
    assert adaptive.judge is model
    assert adaptive.names == (
        *("sigmoid-10", "sigmoid-15", "sigmoid-20", "sigmoid-50", "sigmoid-100"),
        *("straight-through", "not-binarised"),
    )
    assert list(query.members) == [model]
    images = torch.tensor([0.1, 0.2, 0.9]).reshape(1, 1, 1, 3)
    attacked = torch.tensor([0.25, 0.8, 0.6]).reshape(1, 1, 1, 3)
    for surface in (adaptive, query):
        assert surface.refine is not None
        refined = surface.refine(images, attacked).flatten()
        torch.testing.assert_close(refined, torch.tensor([0.1, 0.3, 0.9]), rtol=0, atol=0)


def test_a_random_model_is_attacked_through_the_mean_of_its_draws() -> None:
    model = Random()
    surfaces = find_surfaces(model)
    assert surfaces["white-box"] is model
    assert isinstance(surfaces["adaptive"], EOT)
    assert surfaces["adaptive"].model is model


def test_what_a_model_says_itself_is_what_counts() -> None:
    purified = Purified(nn.Identity(), Binarised(Quadrants()))
    assert set(find_surfaces(purified)) == {"oblivious", "white-box"}


def test_systems_find_their_surfaces() -> None:
    system = make_system("binarised", Binarised(Quadrants()))
    assert set(system.surfaces) == {"white-box", "adaptive", "black-box-query"}
