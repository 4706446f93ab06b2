from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sleepdefense.attacks import PROFILES, parse_attacks
from sleepdefense.data import ImageSet
from sleepdefense.papers.dim2022 import RECIPES
from sleepdefense.papers.dim2022.ablation import differences_table, ordering
from sleepdefense.papers.dim2022.cells import Fallen, cells_of
from sleepdefense.papers.dim2022.logits import without_gradient
from sleepdefense.papers.dim2022.scales import BOUNDARY, GRADIENT, NOISE, PLANS, SEARCH
from sleepdefense.papers.recipe import Job
from sleepdefense.papers.register import find_recipe
from sleepdefense.papers.reproducing import reproduce
from sleepdefense.pipeline import Context


def test_the_groups_are_the_42_attacks() -> None:
    grouped = parse_attacks(",".join((GRADIENT, NOISE, SEARCH, BOUNDARY)))
    assert sorted(grouped, key=str) == sorted(PROFILES["dim42"], key=str)


def test_every_plan_can_be_parsed() -> None:
    for plan in PLANS.values():
        for group in (*plan.groups, *plan.stronger, *plan.ablation_groups, plan.asleep, plan.asleep_adaptive):
            assert parse_attacks(group.attacks)
            assert set(group.systems or ()) <= {*plan.columns, "singleIM", "IM", "Dn-singleIM"}
        if plan.intensities is not None:  # the table itself has them too, by P(i | x)
            table = parse_attacks(plan.group("gradient").attacks)
            assert set(parse_attacks(plan.intensities.attacks)) <= set(table)


def test_cells_take_attacks_together_image_by_image() -> None:
    one = Fallen(distance=np.array([0.5, 2.0, np.inf, 0.0]), epsilon=1.0)
    other = Fallen(distance=np.array([3.0, 0.2, np.inf, 0.0]), epsilon=1.0)
    broken = Fallen(distance=np.full(4, np.inf), epsilon=1.0, status="error: no", is_error=True)
    cells = cells_of(
        [{"L2:DDN": one, "L2:PGD": other, "L2:FGM": broken}],
        ("L2:DDN", "L2:FGM", "L2:all", "L2:median", "all:minimal", "L1:all"),
    )
    assert cells["L2:DDN"].values == (50.0,)
    assert cells["L2:DDN"].n == 4
    assert (cells["L2:FGM"].values, cells["L2:FGM"].status) == ((), "error: no")
    assert cells["L2:all"].values == (25.0,)
    assert cells["L2:all"].status == "2 attacks"
    assert cells["L2:median"].values == (0.35,)
    assert cells["all:minimal"].values == (50.0,)
    assert "L1:all" not in cells


def test_ablations_are_compared_image_by_image() -> None:
    def stands(num: int) -> Fallen:
        return Fallen(distance=np.array([2.0] * num + [0.5] * (100 - num)), epsilon=1.0)

    single, plain = {"L2:DDN": stands(40)}, {"L2:DDN": stands(70)}
    said = ordering({"singleIM": [single, single], "IM": [plain, plain], "DIM": [plain, plain]})
    assert [sentence.partition(" (")[0] for sentence in said] == [
        "Adding the denoiser to internal models",
        "An internal model for each class in place of one encoder, without denoiser",
    ]
    assert "better in 0, worse in 0, no difference beyond chance in 1 of 1" in said[0]
    assert "better in 1, worse in 0" in said[1]
    assert "+30.0 [" in said[1]
    table = differences_table(2, {"singleIM": [single, single], "IM": [plain, plain]})
    assert table.measured["L2:DDN", "singleIM to IM"].values == (30.0,)


class _Leaning(nn.Module):
    """Two logits, `gap` and a little of the first pixel apart."""

    def __init__(self, gap: float) -> None:
        super().__init__()
        self.gap = gap

    def forward(self, image: Tensor) -> Tensor:
        first = image[:, 0, 0, 0]
        return torch.stack([-first, self.gap + first], 1)


@pytest.mark.parametrize(("gap", "percent"), [(10.0, 0.0), (99.0, 0.0), (106.0, 75.0)])
def test_images_without_gradient_are_those_beyond_the_smallest_float(gap: float, percent: float) -> None:
    labels = torch.tensor([1, 1, 1, 0])
    test = ImageSet(name="plain", images=torch.rand(4, 1, 2, 2), labels=labels, num_classes=2)
    assert without_gradient(_Leaning(gap), test) == percent


@pytest.mark.long
@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_every_recipe_can_be_cooked(recipe, tmp_path: Path) -> None:
    job = Job(folder=tmp_path, scale="smoke", dataset="digits", seeds=(0,), context=Context())
    outcome = reproduce(find_recipe(recipe.paper, recipe.kind, recipe.number), job)
    assert outcome.findings or recipe.number in (3, 4)
    for table in outcome.tables:
        assert table.measured
    again = reproduce(recipe, replace(job, context=Context(resume=True)))
    assert [table.as_json() for table in again.tables] == [table.as_json() for table in outcome.tables]
