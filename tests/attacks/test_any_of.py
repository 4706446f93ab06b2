import pytest
import torch
from torch import Tensor, nn

from sleepdefense.attacks.any_of import AnyOf, Attempt, attack_members
from sleepdefense.errors import ConfigError, EvaluationError

IMAGES = torch.full((4, 1, 1, 2), 0.2)
LABELS = torch.zeros(4, dtype=torch.int64)


class FirstPixel(nn.Module):
    """Says 1 where the first pixel is above one half."""

    def forward(self, images: Tensor) -> Tensor:
        pixel = images[:, 0, 0, 0]
        return torch.stack([0.5 - pixel, pixel - 0.5], dim=1)


class Sets(nn.Module):
    """A member that knows what its attack returns: one value for the first pixel of each image."""

    def __init__(self, values: list[float], no_gradient: list[bool] | None = None) -> None:
        super().__init__()
        self.values = torch.tensor(values)
        self.no_gradient = torch.tensor(no_gradient or [False] * len(values))


def attack(member: nn.Module) -> Attempt:
    assert isinstance(member, Sets)
    attacked = IMAGES.clone()
    attacked[:, 0, 0, 0] = member.values
    return Attempt(attacked, member.no_gradient)


def two_members(judge: nn.Module | None = None) -> AnyOf:
    members = {
        "far": Sets([0.9, 0.9, 0.4, 0.7], [True, True, False, True]),
        "near": Sets([0.6, 0.3, 0.3, 0.7], [True, False, False, True]),
    }
    return AnyOf(members, judge or FirstPixel())


def test_the_nearest_image_that_the_judge_gets_wrong_is_kept() -> None:
    best = attack_members(two_members(), IMAGES, LABELS, "Linf", attack)
    # near wins; only far succeeds; neither does; both do at the same distance: the first
    assert best.winner.tolist() == [1, 0, -1, 0]
    assert best.images[:, 0, 0, 0].tolist() == pytest.approx([0.6, 0.9, 0.2, 0.7])
    assert torch.equal(best.images[2], IMAGES[2])
    assert best.judged == 8


def test_only_images_without_a_gradient_in_any_member_are_reported() -> None:
    best = attack_members(two_members(), IMAGES, LABELS, "Linf", attack)
    assert best.without_gradient.tolist() == [True, False, False, True]


def test_the_norm_decides_what_is_near() -> None:
    class Spread(nn.Module):
        pass

    class Peaked(nn.Module):
        pass

    def change(member: nn.Module) -> Attempt:
        attacked = IMAGES.clone()
        attacked[:, 0, 0, 0] += 0.4
        if isinstance(member, Spread):
            attacked[:, 0, 0, 1] += 0.35
        else:
            attacked[:, 0, 0, 0] += 0.05
        return Attempt(attacked, torch.zeros(4, dtype=torch.bool))

    surface = AnyOf({"spread": Spread(), "peaked": Peaked()}, FirstPixel())
    winners = {
        norm: set(attack_members(surface, IMAGES, LABELS, norm, change).winner.tolist())
        for norm in ("Linf", "L1", "L2", "L0", "none")
    }
    assert winners == {"Linf": {0}, "L1": {1}, "L2": {1}, "L0": {1}, "none": {1}}


def test_images_are_refined_before_they_are_compared() -> None:
    def halfway(images: Tensor, attacked: Tensor) -> Tensor:
        return images + 0.5 * (attacked - images)

    surface = AnyOf({"far": Sets([0.9, 0.9, 0.4, 0.7])}, FirstPixel(), refine=halfway)
    best = attack_members(surface, IMAGES, LABELS, "L2", attack)
    # the judge sees 0.55, 0.55, 0.3 and 0.45: the refined images, not the attacked ones
    assert best.winner.tolist() == [0, 0, -1, -1]
    assert best.images[:2, 0, 0, 0].tolist() == pytest.approx([0.55, 0.55])


def test_the_judge_is_the_module_itself_and_is_judged_at_rest() -> None:
    class InTraining(FirstPixel):
        def forward(self, images: Tensor) -> Tensor:
            assert not self.training
            return super().forward(images)

    surface = two_members(InTraining().train())
    attack_members(surface, IMAGES, LABELS, "L2", attack)
    assert surface.judge.training
    assert torch.equal(surface.eval()(IMAGES), FirstPixel()(IMAGES))
    assert "far, near" in str(surface)


def test_a_failing_member_is_named() -> None:
    def fail(member: nn.Module) -> Attempt:
        raise EvaluationError("no gradient")

    with pytest.raises(EvaluationError, match="attacking 'far': no gradient"):
        attack_members(two_members(), IMAGES, LABELS, "L2", fail)


def test_a_broken_judge_is_no_success() -> None:
    class Broken(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return torch.full((len(images), 2), torch.nan)

    with pytest.raises(EvaluationError, match="the judge's logits are not finite"):
        attack_members(two_members(Broken()), IMAGES, LABELS, "L2", attack)


def test_there_must_be_a_member() -> None:
    with pytest.raises(ConfigError, match="needs a member at least"):
        AnyOf({}, FirstPixel())
