import json
from pathlib import Path

import pytest
import torch
from quadrants import Quadrants, make_images
from torch import Tensor, nn

from sleepdefense.attacks.any_of import AnyOf
from sleepdefense.attacks.eot import EOT
from sleepdefense.evaluation import evaluate, load_results
from sleepdefense.evaluation.surfaces import find_surfaces
from sleepdefense.evaluation.systems import make_system
from sleepdefense.models import Binarised, BinaryCNN, Purified
from sleepdefense.report.evaluation_loading import load_evaluation
from sleepdefense.report.page import render_page


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
    class Says(Quadrants):
        def attack_surfaces(self) -> dict[str, nn.Module]:
            return {"oblivious": self.sums}

    assert set(find_surfaces(Says())) == {"oblivious"}


def test_systems_find_their_surfaces() -> None:
    system = make_system("binarised", Binarised(Quadrants()))
    assert set(system.surfaces) == {"white-box", "adaptive", "black-box-query"}


PROXIES = [
    *("sigmoid-10", "sigmoid-15", "sigmoid-20", "sigmoid-50", "sigmoid-100"),
    *("straight-through", "not-binarised"),
]


class Dimmer(nn.Module):
    """A purifier that has a gradient."""

    def forward(self, images: Tensor) -> Tensor:
        return 0.05 + 0.9 * images


class RandomDimmer(Dimmer):
    def one_draw(self, images: Tensor, *, seed: int) -> Tensor:
        return self(images) * (1 + 0.1 * torch.randn(1, generator=torch.Generator().manual_seed(seed)))


def test_a_purifier_before_a_binarised_classifier_is_attacked_through_its_proxies() -> None:
    system = Purified(Dimmer(), Binarised(Quadrants(), 0.3)).eval()
    surfaces = find_surfaces(system)
    assert list(surfaces) == ["oblivious", "white-box", "adaptive"]
    assert surfaces["white-box"] is system
    adaptive, oblivious = surfaces["adaptive"], surfaces["oblivious"]
    assert list(adaptive.names) == list(oblivious.names) == PROXIES
    assert adaptive.judge is system
    assert oblivious.judge is system.classifier
    # what the purifier makes of a pixel is not what the threshold sees, so nothing may be put back
    assert adaptive.refine is None
    assert oblivious.refine is not None


def test_a_binarised_purifier_is_attacked_through_its_proxies_too() -> None:
    system = Purified(Binarised(Dimmer(), 0.4), Binarised(Quadrants(), 0.3))
    surfaces = find_surfaces(system)
    assert set(surfaces["adaptive"].names) == {f"{one} {other}" for one in PROXIES for other in PROXIES}
    assert surfaces["adaptive"].refine is not None
    alone = find_surfaces(Purified(Binarised(Dimmer(), 0.4), Quadrants()))
    assert list(alone["adaptive"].names) == PROXIES
    assert list(alone["black-box-query"].names) == ["itself"]


@pytest.mark.parametrize(
    ("purifier", "classifier"),
    [(RandomDimmer(), Quadrants()), (Dimmer(), Random()), (RandomDimmer(), Random())],
)
def test_a_random_part_makes_the_whole_random(purifier: nn.Module, classifier: nn.Module) -> None:
    surfaces = find_surfaces(Purified(purifier, classifier).eval())
    assert list(surfaces) == ["oblivious", "white-box", "adaptive"]
    drawn = surfaces["adaptive"].logit_draws(
        torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    )
    assert not torch.equal(drawn[0], drawn[1])


def test_the_adaptive_attack_brings_down_what_has_no_gradient() -> None:
    data = make_images(24, seed=3)
    system = Purified(Dimmer(), Binarised(Quadrants().eval(), 0.5)).eval()
    table = evaluate(system, data, "PGD(epsilon=0.4,steps=10)", name="s", checks=False)
    rows = {row.threat_model: row for row in table.rows}
    assert rows["white-box"].status.startswith("error: the model's logits do not depend on the image")
    adaptive = rows["adaptive"]
    assert adaptive.status == "ok"
    assert adaptive.accuracy < rows["none"].accuracy - 0.2
    # every image that fell to the attack is one member's; those that were wrong anyway are nobody's
    wrong_anyway = rows["none"].n - rows["none"].correct
    assert list(adaptive.winners) == PROXIES
    assert sum(adaptive.winners.values()) == adaptive.n - adaptive.correct - wrong_anyway > 0
    assert rows["none"].winners == {}


def test_which_stand_in_won_is_in_every_view_of_a_table(tmp_path: Path) -> None:
    data = make_images(12, seed=3)
    model = Binarised(Quadrants().eval(), 0.5).eval()
    path = tmp_path / "r.h5"
    table = evaluate(
        model, data, "FGSM:0.3,Linf:Square(queries=20)", name="b", checks=False, resume=path, batch_size=5
    )
    row = table.row("b", "FGSM 0.3", "adaptive")
    best = max(row.winners, key=lambda name: row.winners[name])
    assert row.winners[best] > 0
    assert table.rows[-1].threat_model == "black-box-query"
    assert table.rows[-1].winners == {}
    words = f"{best} {row.winners[best]}"
    for text in (str(table), table.markdown(), table.csv(), render_page(load_evaluation(path))):
        assert words in text
    assert load_results(path).row("b", "FGSM 0.3", "adaptive").winners == row.winners
    (in_json,) = (
        each for each in json.loads(path.with_suffix(".json").read_text())["rows"] if each["winners"]
    )
    assert in_json["winners"] == row.winners
