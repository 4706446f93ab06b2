from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from torch import nn

from sleepdefense.analysis import (
    dissimilarities,
    drive_distributions,
    empirical_ratio,
    path_geometry,
    pearson_ratios,
    weight_distributions,
)
from sleepdefense.attacks import parse_attacks
from sleepdefense.data import ImageSet
from sleepdefense.errors import ConfigError
from sleepdefense.models import ReLUMLP, SigmoidMLP, build_model
from sleepdefense.models.layer_activity import layer_activity
from sleepdefense.papers import Job, find_recipe, printed_column, recipes, reproduce
from sleepdefense.papers.nayebi2017.fgsm import under_fgsm
from sleepdefense.papers.nayebi2017.plan import NETWORKS, PLANS
from sleepdefense.papers.nayebi2017.schedules import network_plan
from sleepdefense.papers.nayebi2017.sharpened import sharpened, sharpening_sentences
from sleepdefense.papers.nayebi2017.softened import Seen, Softened, zero_gradient_share
from sleepdefense.papers.recipe import SCALES
from sleepdefense.papers.side_by_side import Measured, SideBySide
from sleepdefense.pipeline import Context
from sleepdefense.report.canvas import png_bytes
from sleepdefense.report.saturation_figures import (
    dissimilarity_figure,
    drive_figure,
    geometry_figure,
    ratio_figure,
    weight_figure,
)
from sleepdefense.report.target_grids import TargetGrid, target_figure


def _images(batch: int = 6) -> torch.Tensor:
    return torch.rand(batch, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def _sharp(factor: float) -> SigmoidMLP:
    model = build_model("saturating-sigmoid-mlp", {"hidden": 12, "size": 8}, seed=0)
    assert isinstance(model, SigmoidMLP)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "layers.5" not in name:
                weight *= factor
    return model.eval()


def test_every_table_and_figure_has_a_recipe() -> None:
    known = {(recipe.kind, recipe.number) for recipe in recipes("nayebi2017")}
    assert known == {("table", 1), *(("figure", number) for number in range(1, 9))}


def test_printed_numbers_are_those_of_table_1() -> None:
    cells = printed_column("nayebi2017:sigmoid MLP, saturated").cells
    assert (cells["clean"].value, cells["Linf:FGSM"].value) == (97.01, 94.43)


@pytest.mark.parametrize("scale", SCALES)
def test_plans_can_be_read(scale: str) -> None:
    plan = PLANS[scale]
    assert {spec.epsilon for spec in parse_attacks(plan.strong)} == {0.25}
    assert all(spec.access == "query" for spec in parse_attacks(plan.query))
    for network in NETWORKS:
        vanilla = network_plan(scale, network).vanilla
        build_model(vanilla.model, vanilla.settings, seed=0)
    assert (
        build_model("saturating-cnn", network_plan("paper", "CNN").vanilla.settings, seed=0).settings["width"]
        == 32
    )


def test_a_softened_network_has_the_gradient_that_the_sharp_one_lost() -> None:
    model, images = _sharp(3000.0), _images()
    labels = model(images).detach().argmax(1)
    lost, right = zero_gradient_share(model, images, labels)
    assert lost > 0.5
    assert right == 6
    soft = Softened(model, images)
    share, _ = zero_gradient_share(soft, images, soft(images).detach().argmax(1))
    assert share == 0.0
    leaf = images.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(soft(leaf).logsumexp(1).sum(), leaf)
    assert gradient.dtype == torch.float32
    torch.testing.assert_close(gradient.abs().flatten(1).amax(1), torch.ones(6))


def test_softening_leaves_a_soft_network_as_it_is() -> None:
    model, images = _sharp(0.1), _images()
    torch.testing.assert_close(Softened(model, images)(images), model(images))


def test_larger_logits_hide_the_gradient_and_change_no_answer() -> None:
    net = build_model("saturating-relu-mlp", {"hidden": 12, "size": 8}, seed=0)
    assert isinstance(net, ReLUMLP)
    labels = net(_images(40)).detach().argmax(1)
    images = ImageSet(name="random/test", images=_images(40), labels=labels, num_classes=10)
    logits = net(images.images)
    sharp = sharpened(net, images.images, 2.0**17)
    torch.testing.assert_close(sharp(images.images), 2.0**17 * logits)
    assert torch.equal(net(images.images), logits)
    before, after = under_fgsm(net, images), under_fgsm(sharp, images)
    assert before.zero.mean == 0.0
    assert after.zero.mean > 90.0
    assert before.attacked.mean < 50.0 < after.attacked.mean
    assert before.clean.mean == after.clean.mean == 100.0


def test_the_sharpened_networks_are_told_in_sentences() -> None:
    rows = [f"{kind}, {training}, x 50" for kind in NETWORKS for training in ("vanilla", "saturated")]
    columns = ("clean", "FGSM 0.25", "zero gradient")
    cells = {
        (row, column): Measured(values=(float(place + 10 * number),))
        for number, row in enumerate(rows)
        for place, column in enumerate(columns)
    }
    table = SideBySide(name="t", title="", rows=tuple(rows), columns=columns, measured=cells)
    said = sharpening_sentences(table)
    assert len(said) == 6
    assert said[1] == (
        "The saturated sigmoid MLP with logits and sigmoid drives 50 times as large classifies 10.0 % of the "
        "clean images and 11.0 % under FGSM: 12.0 % have no gradient."
    )


def test_drives_of_sigmoid_units_are_larger_too() -> None:
    net = _sharp(1.0)
    one, other = (layer_activity(each, _images()) for each in (net, sharpened(net, _images(), 3.0)))
    torch.testing.assert_close(other[0].drive, 3.0 * one[0].drive)
    torch.testing.assert_close(other[1].activity, torch.sigmoid(other[1].drive))


@pytest.mark.parametrize("factor", [0.0, -1.0, float("inf"), float("nan")])
def test_a_factor_that_is_no_size_is_named(factor: float) -> None:
    with pytest.raises(ConfigError, match=f"factor is {factor}: expected a positive number"):
        sharpened(_sharp(1.0), _images(), factor)


def test_a_network_is_judged_and_its_copies_are_attacked() -> None:
    model, twin = _sharp(1.0), _sharp(2.0)
    soft = Softened(model, _images())
    seen = Seen(model, soft, twin)
    assert torch.equal(seen(_images()), model(_images()))
    assert seen.attack_surfaces() == {"adaptive": soft, "black-box-substitute": twin}
    assert list(Seen(model, soft, None).attack_surfaces()) == ["adaptive"]


def _drawings() -> dict[str, Figure]:
    one, other = _sharp(1.0), _sharp(5.0)
    images, labels = _images(), torch.tensor([0, 0, 1, 1, 2, 2])
    nets: dict[str, nn.Module] = {"vanilla": one, "saturated": other}
    samples = pearson_ratios((0.0, 1.0), dimension=50, pairs=2)
    weights = one.layers[1].weight.detach().double().numpy()
    grid = TargetGrid(
        images=np.zeros((2, 2, 1, 8, 8), np.float32), found=np.array([[True, False], [True, True]])
    )
    assert grid.num_found == 1
    return {
        "weights": weight_figure({name: weight_distributions(net) for name, net in nets.items()}),
        "drives": drive_figure({name: drive_distributions(net, images) for name, net in nets.items()}),
        "dissimilarity": dissimilarity_figure(
            {name: dissimilarities(net, images, labels) for name, net in nets.items()}
        ),
        "geometry": geometry_figure(
            {name: [path_geometry(net, images[:1], images[1:2], points=5)] for name, net in nets.items()},
            [(0, 1)],
        ),
        "ratio": ratio_figure(samples, [empirical_ratio("saturated", weights, dimension=50, pairs=2)]),
        "targets": target_figure({"vanilla": grid}),
    }


@pytest.mark.slow
def test_figures_are_drawn() -> None:
    for name, drawing in _drawings().items():
        content = png_bytes(drawing, dpi=40, background="white")
        assert content[:8] == b"\x89PNG\r\n\x1a\n", name
        assert len(content) > 1000, name


@pytest.mark.long
def test_figure_1_is_made_from_nothing_and_made_again_from_what_is_there(tmp_path: Path) -> None:
    recipe = find_recipe("nayebi2017", "figure", 1)

    def make(resume: bool) -> tuple[bytes, ...]:
        job = Job(
            folder=tmp_path / "job",
            scale="smoke",
            dataset="digits",
            seeds=(0,),
            context=Context(resume=resume),
        )
        outcome = reproduce(recipe, job)
        assert outcome.tables[0].rows[1] == "sigmoid MLP, saturated"
        return tuple(path.read_bytes() for path in outcome.figures)

    assert make(False) == make(True)


def test_relu_networks_differ_in_precision_and_scale_only() -> None:
    model = build_model("saturating-relu-mlp", {"hidden": 12, "size": 8}, seed=0).eval()
    assert isinstance(model, ReLUMLP)
    soft = Softened(model, _images())
    torch.testing.assert_close(soft(_images()), soft.scale * model(_images()))
