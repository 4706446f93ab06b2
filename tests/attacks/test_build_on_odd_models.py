"""Attacks on models without gradient, that are constant, saturated, random, binarised, or no use at all."""

import functools

import pytest
import torch
from small_attacks import FAST, GRADIENT_ATTACKS, SEARCHES, Sums, attacked_images, pool_for, title
from small_attacks import attack as attack_some
from torch import nn
from torch.testing import assert_close

from sleepdefense.attacks import AttackSpec, find_attack, perturb
from sleepdefense.attacks.any_of import AnyOf
from sleepdefense.attacks.build import attack_batch
from sleepdefense.attacks.distance import distances
from sleepdefense.attacks.refinement import refine_binarised
from sleepdefense.errors import ConfigError, EvaluationError
from sleepdefense.models import Binarised


class NoGradient(nn.Module):
    def forward(self, image):
        return (image.flatten(1).detach() > 0.5).float()[:, :4]


class Constant(nn.Module):
    def __init__(self):
        super().__init__()
        self.logits = nn.Parameter(torch.tensor([1.0, 0.0, 0.0, 0.0]))

    def forward(self, image):
        return self.logits.expand(len(image), 4)


class Endless(nn.Module):
    def forward(self, image):
        # the root has an infinite slope at zero, and infinity times zero is not a number
        return torch.sqrt(0.0 * image.flatten(1)[:, :4]) + image.flatten(1)[:, :4]


class Saturated(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, image):
        return 1e5 * self.model(image)


@pytest.mark.parametrize("spec", GRADIENT_ATTACKS, ids=title)
@pytest.mark.parametrize(
    ("model", "message"),
    [(NoGradient(), "logits have no gradient"), (Constant(), "logits do not depend on the image")],
    ids=["detached", "constant"],
)
def test_a_model_without_gradient_is_an_error(spec, model, message, data):
    if spec.needs_start and isinstance(model, Constant):
        pytest.skip("a model with one label leaves nothing to start from, so no gradient is asked for")
    with pytest.raises(EvaluationError, match=message):
        attacked_images(spec, model, data)


@pytest.mark.parametrize("name", ["FGSM", "RAND+FGSM", "PGD"])
def test_a_gradient_that_is_not_finite_is_an_error(name, data):
    with pytest.raises(EvaluationError, match="gradient is not finite for 12 of 12 images"):
        attacked_images(find_attack(name), Endless(), data)


@pytest.mark.parametrize("name", ["FGSM", "RAND+FGSM", "PGD"])
def test_saturated_logits_are_noticed(name, classifier, data):
    arguments = data.images, data.labels
    plain = attack_batch(find_attack(name), classifier, *arguments, index=torch.arange(12), seed=0)
    saturated = attack_batch(
        find_attack(name), Saturated(classifier), *arguments, index=torch.arange(12), seed=0
    )
    assert int(plain.without_gradient.sum()) == 0
    assert int(saturated.without_gradient.sum()) == 12


def test_images_that_are_wrong_anyway_are_no_warning(classifier, data):
    # the margin of CW has no gradient once an image is wrong, as it should
    batch = attack_batch(
        find_attack("CW"), classifier, data.images, (data.labels + 1) % 4, index=torch.arange(12), seed=0
    )
    assert int(batch.without_gradient.sum()) == 0


@pytest.mark.parametrize("spec", FAST, ids=title)
def test_images_outside_the_range_are_refused(spec, classifier, data):
    with pytest.raises(EvaluationError, match=r"images under attack must lie in \[0, 1\], got .* to 1\.79"):
        perturb(spec, classifier, data.images * 2, data.labels, index=torch.arange(12), seed=0)


def test_rounding_beyond_the_range_is_clamped(classifier, data):
    images = data.images.clone()
    images[:, 0, 0, 0] = 1 + 1e-6
    spec = find_attack("DDN").with_settings(steps=20)
    attacked = perturb(spec, classifier, images, data.labels, index=torch.arange(12), seed=0)
    assert attacked.max() <= 1


@pytest.mark.parametrize(
    "spec", [find_attack("PGD"), find_attack("L2:DDN"), find_attack("L0:FMN")], ids=title
)
def test_other_types_of_numbers_are_taken(spec, classifier, data):
    usual = perturb(spec, classifier, data.images, data.labels, index=torch.arange(12), seed=0)
    index = torch.arange(12, dtype=torch.int32)
    attacked = perturb(
        spec, classifier, data.images.double(), data.labels.to(torch.int32), index=index, seed=0
    )
    assert attacked.dtype == torch.float64
    assert_close(attacked.float(), usual)


class OneClass(nn.Module):
    def forward(self, image):
        return Sums()(image)[:, :1]


def test_a_failure_inside_a_library_is_named(data):
    message = "attack 'L2:DeepFool 1.5' failed inside its library: expected the model output .* 2 classes"
    with pytest.raises(EvaluationError, match=message):
        attacked_images(find_attack("L2:DeepFool"), OneClass(), data)


class NotNumbers(nn.Module):
    def forward(self, image):
        logits = Sums()(image)
        return torch.where(image[:, :, 0, 0] > 0.5, torch.nan, logits)


@pytest.mark.parametrize("spec", [spec for spec in FAST if spec.access != "none"], ids=title)
def test_logits_that_are_not_numbers_are_an_error(spec, data):
    with pytest.raises(EvaluationError, match=r"logits are not numbers for \d+ of \d+ images"):
        attacked_images(spec, NotNumbers(), data, pool=pool_for(Sums()))


class Detached(nn.Module):
    def forward(self, image):
        return Sums()(image.detach())


@pytest.mark.parametrize("spec", [spec for spec in FAST if spec.access == "query"], ids=title)
def test_queries_need_no_gradient(spec, data):
    assert torch.equal(attacked_images(spec, Detached(), data), attacked_images(spec, Sums(), data))


class Stubborn(nn.Module):
    """Says class 0 whatever it sees."""

    def forward(self, image):
        return Sums()(image) + torch.tensor([1000.0, 0.0, 0.0, 0.0])


@pytest.mark.parametrize(
    "spec",
    SEARCHES,
    ids=title,
)
def test_a_model_with_one_label_keeps_its_images(spec, data):
    labels = torch.zeros(12, dtype=torch.int64)
    batch = attack_batch(
        spec, Stubborn(), data.images, labels, index=torch.arange(12), seed=0, pool=pool_for(Stubborn())
    )
    assert torch.equal(batch.images, data.images)


@pytest.mark.parametrize("name", ["Boundary", "L2:HopSkipJump", "Pointwise", "L2:BrendelBethge"])
def test_an_attack_that_needs_a_start_says_so(name, classifier, data):
    with pytest.raises(ConfigError, match=r"starts from images that .* another class: give it a pool"):
        perturb(find_attack(name), classifier, data.images, data.labels, index=torch.arange(12), seed=0)


def test_images_that_are_wrong_anyway_need_no_start(data):
    spec = next(spec for spec in FAST if spec.title == "Boundary")
    labels = data.labels.clone()
    labels[:3] = (labels[:3] + 1) % 4
    batch = attack_batch(
        spec, Sums(), data.images, labels, index=torch.arange(12), seed=0, pool=pool_for(Sums())
    )
    assert torch.equal(batch.images[:3], data.images[:3])
    assert not bool((batch.images[3:] == data.images[3:]).flatten(1).all(1).any())


def test_a_search_goes_as_far_as_it_must_and_perturb_does_not(classifier, data):
    spec = find_attack("L1:FMN").with_settings(epsilon=0.01)
    assert bool((distances(data.images, attacked_images(spec, classifier, data), "L1") > 0.01).all())
    kept = perturb(spec, classifier, data.images, data.labels, index=torch.arange(12), seed=0)
    assert torch.equal(kept, data.images)


class Drawing(nn.Module):
    """A random model, one of whose two draws says the opposite of the other, but less loudly."""

    def forward(self, image):
        raise AssertionError("the draws are to be asked")

    def logit_draws(self, images):
        return torch.stack([-0.5 * Sums()(images), Sums()(images)])


@pytest.mark.parametrize(
    "name", ["Linf:FGSM", "Linf:BIM", "Linf:PGD", "L2:FGM", "L2:BIM", "L2:PGD", "L1:PGD"]
)
def test_gradient_descent_averages_the_loss_over_draws(name, data):
    spec = find_attack(name).with_settings(loss="margin")
    batch = attack_some(spec, Drawing(), data)
    alone = attack_some(spec, Sums(), data)
    assert batch.forward == batch.backward == 2 * alone.forward == 2 * 12 * spec.settings.get("steps", 1)
    margin = [Sums()(images).gather(1, data.labels[:, None]) for images in (data.images, batch.images)]
    assert bool((margin[1] < margin[0]).all())


@pytest.mark.parametrize("name", ["Linf:FGSM", "L2:FGM", "L1:SparseL1Descent"])
def test_gradient_descent_follows_the_chosen_loss(name, data):
    # the cross-entropy has nothing left to gain where the margin is large: its gradient is zero
    loud = Saturated(Sums())
    spec = find_attack(name)
    lost = attack_some(spec, loud, data)
    assert bool(lost.without_gradient.all())
    for loss in ("margin", "dlr"):
        found = attack_some(spec.with_settings(loss=loss), loud, data)
        assert not bool(found.without_gradient.any())
        margin = [Sums()(images).gather(1, data.labels[:, None]) for images in (data.images, found.images)]
        assert bool((margin[1] < margin[0]).all())


def test_every_member_of_a_surface_is_attacked(data):
    surface = AnyOf({"blind": Stubborn(), "seeing": Sums()}, judge=Sums())
    spec = find_attack("DDN").with_settings(steps=20)
    batch = attack_some(spec, surface, data)
    alone = attack_some(spec, Sums(), data)
    blind = attack_some(spec, Stubborn(), data)
    assert torch.equal(batch.images, alone.images)
    assert batch.forward == alone.forward + blind.forward + 2 * 12
    assert batch.backward == alone.backward + blind.backward
    moved = (batch.images != data.images[:12]).flatten(1).any(1).tolist()
    assert batch.winner == tuple("seeing" if has_moved else "" for has_moved in moved)
    assert "seeing" in batch.winner
    assert alone.winner == ()


def test_queries_go_to_the_judge_of_a_surface(data):
    surface = AnyOf({"blind": Stubborn()}, judge=Sums())
    spec = next(spec for spec in FAST if spec.title == "Boundary")
    assert torch.equal(attacked_images(spec, surface, data), attacked_images(spec, Sums(), data))


@pytest.mark.parametrize("name", ["DDN", "Boundary"])
def test_what_comes_out_of_a_binarised_model_is_refined(name, data):
    model = Binarised(Sums()).eval()
    surface = AnyOf(model.proxies(), model, functools.partial(refine_binarised, threshold=0.5))
    spec = next(spec for spec in FAST if spec.title == name)
    batch = attack_some(spec, surface, data)
    moved = (batch.images != data.images[:12]).flatten(1).any(1)
    assert int(moved.sum()) >= 6
    assert torch.equal(model(batch.images).argmax(1)[moved] != data.labels[:12][moved], moved[moved])
    assert torch.equal(refine_binarised(data.images[:12], batch.images, 0.5), batch.images)


def test_an_attack_nobody_knows_is_refused(classifier, data):
    spec = AttackSpec(name="mine", norm="none")
    with pytest.raises(ConfigError, match="no attack 'none:mine' to run; `sleepdefense attacks` lists all"):
        attacked_images(spec, classifier, data)


def test_no_images_are_no_error(classifier, data):
    batch = attack_some(find_attack("PGD"), classifier, data, first=0, last=0)
    assert batch.images.shape == (0, 1, 8, 8)
    assert (batch.forward, batch.backward) == (0, 0)
