import functools
from typing import NamedTuple

import numpy as np
import pytest
import torch
from quadrants import Quadrants, make_images
from small_attacks import COMPILED, FAST, Sums, pool_for
from small_attacks import attack as attack_some
from torch import nn
from torch.testing import assert_close

from sleepdefense.attacks import AttackSpec, find_attack, perturb
from sleepdefense.attacks.any_of import AnyOf
from sleepdefense.attacks.build import AttackedBatch, attack_batch
from sleepdefense.attacks.distance import distances
from sleepdefense.attacks.noise import normal_noise, sign_noise, uniform_noise
from sleepdefense.attacks.refinement import refine_binarised
from sleepdefense.errors import ConfigError, EvaluationError
from sleepdefense.models import Binarised

EVERY = [*FAST, *(pytest.param(spec, marks=pytest.mark.long) for spec in COMPILED)]
GRADIENT_ATTACKS = [
    *(spec for spec in FAST if spec.needs_gradient),
    *(pytest.param(spec, marks=pytest.mark.long) for spec in COMPILED),
]
STRONG = next(spec for spec in FAST if spec.name == "CW-strong")
RANDOM_ATTACKS = [spec for spec in FAST if spec.is_random]
# images with one bright quarter stay what they are under noise and blur
HARMLESS = ("Repeated", "ClippingAwareRepeated", "LinearSearchGaussianBlur")


def title(spec):
    return spec.title if isinstance(spec, AttackSpec) else None


def attack(spec, model, data, **more):
    return attack_some(spec, model, data, **more).images


class Linear(nn.Module):
    """Two classes; logit 0 is the sum of `first` times pixels, logit 1 that of `second`."""

    def __init__(self, first, second):
        super().__init__()
        self.register_buffer("weight", torch.tensor([first, second]))

    def forward(self, image):
        return image.flatten(1) @ self.weight.T


class Outcome(NamedTuple):
    """What one run of an attack on a module did, to it and to everything around it."""

    batch: AttackedBatch
    model: nn.Module
    weights: dict[str, torch.Tensor]
    generators: list[object]
    shown: list[int]


def generators():
    numpy = np.random.get_state()  # noqa: NPY002
    return [torch.get_rng_state().tolist(), numpy[1].tolist(), numpy[2:]]


@functools.cache
def run_once(spec):
    model = Quadrants()
    model.norm.eval()
    model.sums.weight.requires_grad_(False)
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    pool = pool_for(model.eval()) if spec.needs_start else None
    model.train()
    model.norm.eval()
    shown = []
    model.register_forward_hook(lambda module, given, result: shown.append(len(given[0])))
    before = generators()
    batch = attack_some(spec, model, make_images(12), pool=pool)
    return Outcome(batch, model, weights, [before, generators()], shown)


@functools.cache
def run_exactly(spec):
    return attack(spec, Sums(), make_images(12))


@pytest.mark.parametrize("spec", EVERY, ids=title)
def test_every_attack_stays_in_its_budget(spec, data):
    attacked = run_once(spec).batch.images
    assert attacked.dtype == torch.float32
    assert not attacked.requires_grad
    assert attacked.min() >= 0
    assert attacked.max() <= 1
    distance = distances(data.images, attacked, spec.norm)
    if spec.epsilon is not None and not spec.minimises:
        assert distance.max() <= spec.epsilon * (1 + 1e-5) + 2**-23
    changed = int((distance > 0).sum())
    assert changed > 0 or spec.name.startswith(HARMLESS)


SEARCHES = [spec for spec in FAST if spec.minimises and spec.access != "none"]
LONG_SEARCHES = [pytest.param(spec, marks=pytest.mark.long) for spec in COMPILED]


@pytest.mark.parametrize("spec", [*SEARCHES, *LONG_SEARCHES], ids=title)
def test_what_a_search_gives_back_is_wrong_or_unchanged(spec, classifier, data):
    attacked = run_once(spec).batch.images
    with torch.no_grad():
        is_wrong = classifier(attacked).argmax(1) != data.labels
    is_unchanged = (attacked == data.images).flatten(1).all(1)
    assert bool((is_wrong ^ is_unchanged).all())
    assert int(is_wrong.sum()) >= 6 or spec.name.startswith(HARMLESS)


@pytest.mark.parametrize("spec", GRADIENT_ATTACKS, ids=title)
def test_every_gradient_attack_succeeds(spec, classifier, data):
    with torch.no_grad():
        assert torch.equal(classifier(data.images).argmax(1), data.labels)
        predicted = classifier(run_once(spec).batch.images).argmax(1)
    assert not bool((predicted == data.labels).any())


@pytest.mark.parametrize("spec", EVERY, ids=title)
def test_the_global_generators_are_left_alone(spec):
    before, after = run_once(spec).generators
    assert before == after


@pytest.mark.parametrize("spec", EVERY, ids=title)
def test_the_model_is_left_as_it_was(spec):
    outcome = run_once(spec)
    model = outcome.model
    parts = (model, model.sums, model.norm, model.drop)
    assert [part.training for part in parts] == [True, True, False, True]
    assert [weight.requires_grad for weight in model.parameters()] == [False, True, True]
    assert all(weight.grad is None for weight in model.parameters())
    assert all(torch.equal(outcome.weights[name], value) for name, value in model.state_dict().items())


@pytest.mark.parametrize("spec", EVERY, ids=title)
def test_what_is_asked_of_the_model_is_counted(spec):
    outcome = run_once(spec)
    assert outcome.batch.forward == sum(outcome.shown)
    assert (outcome.batch.forward > 0) == (spec.access != "none")
    assert (outcome.batch.backward > 0) == (spec.access == "gradient")


@pytest.mark.parametrize("spec", [spec for spec in FAST if spec.name != "AutoAttack"], ids=title)
def test_splitting_the_batch_changes_nothing(spec, data):
    spec = spec.with_settings(steps=320) if spec.name == "Boundary" else spec  # it adapts from the 300th on
    pieces = torch.cat([attack(spec, Sums(), data, first=a, last=b) for a, b in ((0, 1), (1, 12))])
    assert_close(run_exactly(spec), pieces, atol=1e-6, rtol=0)


@pytest.mark.long
@pytest.mark.parametrize("spec", COMPILED, ids=title)
def test_splitting_the_batch_changes_nothing_for_compiled_attacks(spec, data):
    pieces = torch.cat([attack(spec, Sums(), data, first=a, last=b) for a, b in ((0, 1), (1, 12))])
    assert_close(run_exactly(spec), pieces, atol=1e-4, rtol=0)


@pytest.mark.parametrize("spec", RANDOM_ATTACKS, ids=title)
def test_random_parts_follow_the_seed(spec, data):
    first = run_exactly(spec)
    torch.manual_seed(99)
    if spec.name == "AutoAttack":  # which has no test of split batches
        assert torch.equal(first, attack(spec, Sums(), data))
    other = attack(spec, Sums(), data, seed=2)
    finds_nothing = torch.equal(first, data.images) and torch.equal(other, data.images)
    assert not torch.equal(first, other) or finds_nothing


@pytest.mark.parametrize("spec", GRADIENT_ATTACKS, ids=title)
def test_a_callable_is_attacked_like_its_module(spec, classifier, data):
    first = 10 if spec.name != "AutoAttack" else 0
    with torch.no_grad():
        attacked = attack(spec, lambda images: classifier(images), data, first=first)
    assert torch.equal(attacked, attack(spec, classifier, data, first=first))
    assert all(weight.grad is None for weight in classifier.parameters())


class Pale(nn.Module):
    """Says 1 where no pixel is bright."""

    def forward(self, image):
        return torch.stack([image.flatten(1).amax(1), torch.full((len(image),), 0.8)], 1)


@pytest.mark.parametrize("norm", ["Linf", "L2", "L1"])
def test_blur_goes_as_far_as_it_must(norm, data):
    images = torch.zeros(3, 1, 8, 8)
    images[:, 0, 4, 4] = torch.tensor([1.0, 0.81, 0.7])
    spec = find_attack(f"{norm}:LinearSearchGaussianBlur").with_settings(steps=100)
    labels = torch.tensor([0, 0, 1])
    attacked = attack_batch(spec, Pale(), images, labels, index=torch.arange(3), seed=0).images
    brightest = attacked.flatten(1).amax(1)
    assert 0.5 < brightest[0] < 0.8
    assert 0.5 < brightest[1] < 0.8
    assert torch.equal(attacked[2], images[2])


@pytest.mark.parametrize("name", ["L2:RepeatedAdditiveGaussianNoise", "Linf:RepeatedAdditiveUniformNoise"])
def test_noise_that_is_tried_often_stops_where_it_succeeds(name):
    images = torch.full((6, 1, 8, 8), 0.79)
    labels = torch.ones(6, dtype=torch.int64)
    once = attack_batch(
        find_attack(name).with_settings(epsilon=0.05, repeats=1),
        Pale(),
        images,
        labels,
        index=torch.arange(6),
        seed=0,
    )
    often = attack_batch(
        find_attack(name).with_settings(epsilon=0.05, repeats=50),
        Pale(),
        images,
        labels,
        index=torch.arange(6),
        seed=0,
    )
    found = [Pale()(batch.images).argmax(1) == 0 for batch in (once, often)]
    assert bool(found[1].all())
    assert torch.equal(once.images[found[0]], often.images[found[0]])


def test_fgsm_by_hand():
    # the cross-entropy of class 0 rises along `second - first`: up, down, not at all, up but clipped
    model = Linear([0.0, 2.0, 0.0, 0.0], [1.0, 0.0, 0.0, 3.0])
    images = torch.tensor([0.5, 0.5, 0.5, 0.9]).reshape(1, 1, 2, 2)
    attacked = perturb(
        find_attack("FGSM").with_settings(epsilon=0.2),
        model,
        images,
        torch.tensor([0]),
        index=torch.tensor([0]),
        seed=0,
    )
    assert_close(attacked.flatten(), torch.tensor([0.7, 0.3, 0.5, 1.0]))


def test_rand_fgsm_by_hand():
    model = Linear([0.0] * 4, [1.0] * 4)
    images = torch.full((2, 1, 2, 2), 0.5)
    spec = find_attack("RAND+FGSM").with_settings(epsilon=0.3, alpha=0.1)
    index = torch.tensor([4, 9])
    attacked = perturb(spec, model, images, torch.zeros(2, dtype=torch.int64), index=index, seed=7)
    sign = sign_noise(index.numpy(), (1, 2, 2), seed=7, stream="RAND+FGSM")
    assert_close(attacked, 0.5 + 0.1 * sign + 0.2)


def test_pgd_starts_at_its_own_random_point():
    model = Linear([0.0] * 4, [1.0] * 4)
    images = torch.full((1, 1, 2, 2), 0.5)
    spec = find_attack("PGD").with_settings(epsilon=0.2, steps=1, relative_step=0.25)
    index = torch.tensor([3])
    label = torch.tensor([0])
    attacked = perturb(spec, model, images, label, index=index, seed=5)
    start = 0.2 * (2 * uniform_noise(index.numpy(), (1, 2, 2), seed=5, stream="PGD") - 1)
    assert_close(attacked, 0.5 + torch.clamp(start + 0.05, max=0.2))
    still = perturb(spec.with_settings(random_start=False), model, images, label, index=index, seed=5)
    assert_close(still, torch.full_like(images, 0.55))


def test_gaussian_noise_is_that_of_the_image():
    images = torch.full((2, 1, 2, 2), 0.5)
    index = torch.tensor([8, 3])
    spec = find_attack("GaussianNoise").with_settings(sigma=0.1)
    labels = torch.zeros(2, dtype=torch.int64)
    attacked = perturb(spec, Linear([0.0] * 4, [0.0] * 4), images, labels, index=index, seed=2)
    normal = normal_noise(index.numpy(), (1, 2, 2), seed=2, stream="GaussianNoise")
    assert_close(attacked, torch.clamp(0.5 + 0.1 * normal, 0, 1))


def test_labels_decide_where_an_attack_goes(classifier, data):
    wrong = perturb(
        find_attack("FGSM"),
        classifier,
        data.images,
        (data.labels + 1) % 4,
        index=torch.arange(12),
        seed=0,
    )
    assert not torch.equal(wrong, attack(find_attack("FGSM"), classifier, data))


class Hardened(nn.Module):
    """Right about class 0 whatever the image; the gradient exists and misleads."""

    def forward(self, image):
        total = image.flatten(1).sum(1, keepdim=True)
        return torch.cat([100 + total, total.square() * 1e-6], 1)


class RightUnlessBlack(nn.Module):
    """Gives an all-black image another class than every other image: foolbox's trap."""

    def forward(self, image):
        total = image.flatten(1).sum(1, keepdim=True)
        return torch.where(total == 0, -1.0, 50.0) * torch.tensor([[1.0, 0.0]]) + 0.0 * total


@pytest.mark.parametrize("model", [Hardened(), RightUnlessBlack()], ids=["hardened", "black-trap"])
def test_carlini_wagner_that_finds_nothing_returns_the_image(model):
    images = make_images(3).images
    labels = torch.zeros(3, dtype=torch.int64)
    spec = find_attack("CW").with_settings(steps=3)
    attacked = perturb(spec, model, images, labels, index=torch.arange(3), seed=0)
    assert torch.equal(attacked, images)


def test_a_search_with_a_budget_puts_back_what_is_too_far(classifier, data):
    free = attack(STRONG, classifier, data)
    distance = (free - data.images).flatten(1).norm(dim=1)
    epsilon = float(distance.median())
    bounded = perturb(
        STRONG.with_settings(epsilon=epsilon),
        classifier,
        data.images,
        data.labels,
        index=torch.arange(12),
        seed=0,
    )
    is_near = distance <= epsilon
    assert 0 < int(is_near.sum()) < len(data)
    assert torch.equal(bounded[is_near], free[is_near])
    assert torch.equal(bounded[~is_near], data.images[~is_near])


def test_carlini_wagner_strong_is_closer_than_the_papers(classifier, data):
    far, near = (attack(spec, classifier, data) - data.images for spec in (find_attack("CW"), STRONG))
    assert near.flatten(1).norm(dim=1).max() < 0.5 * far.flatten(1).norm(dim=1).min()


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
        attack(spec, model, data)


@pytest.mark.parametrize("name", ["FGSM", "RAND+FGSM", "PGD"])
def test_a_gradient_that_is_not_finite_is_an_error(name, data):
    with pytest.raises(EvaluationError, match="gradient is not finite for 12 of 12 images"):
        attack(find_attack(name), Endless(), data)


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
    usual = attack(spec, classifier, data)
    index = torch.arange(12, dtype=torch.int32)
    attacked = perturb(
        spec, classifier, data.images.double(), data.labels.to(torch.int32), index=index, seed=0
    )
    assert attacked.dtype == torch.float64
    assert_close(attacked.float(), usual if spec.title == "PGD" else attacked.float())


class OneClass(nn.Module):
    def forward(self, image):
        return Sums()(image)[:, :1]


def test_a_failure_inside_a_library_is_named(data):
    message = "attack 'L2:DeepFool 1.5' failed inside its library: expected the model output .* 2 classes"
    with pytest.raises(EvaluationError, match=message):
        attack(find_attack("L2:DeepFool"), OneClass(), data)


class NotNumbers(nn.Module):
    def forward(self, image):
        logits = Sums()(image)
        return torch.where(image[:, :, 0, 0] > 0.5, torch.nan, logits)


@pytest.mark.parametrize("spec", [spec for spec in FAST if spec.access != "none"], ids=title)
def test_logits_that_are_not_numbers_are_an_error(spec, data):
    with pytest.raises(EvaluationError, match=r"logits are not numbers for \d+ of \d+ images"):
        attack(spec, NotNumbers(), data, pool=pool_for(Sums()))


class Detached(nn.Module):
    def forward(self, image):
        return Sums()(image.detach())


@pytest.mark.parametrize("spec", [spec for spec in FAST if spec.access == "query"], ids=title)
def test_queries_need_no_gradient(spec, data):
    assert torch.equal(attack(spec, Detached(), data), run_exactly(spec))


class Stubborn(nn.Module):
    """Says class 0 whatever it sees."""

    def forward(self, image):
        return Sums()(image) + torch.tensor([1000.0, 0.0, 0.0, 0.0])


@pytest.mark.parametrize(
    "spec",
    [*SEARCHES, *LONG_SEARCHES],
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
    assert bool((distances(data.images, attack(spec, classifier, data), "L1") > 0.01).all())
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
    assert torch.equal(attack(spec, surface, data), attack(spec, Sums(), data))


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
        attack(spec, classifier, data)


def test_no_images_are_no_error(classifier, data):
    batch = attack_some(find_attack("PGD"), classifier, data, first=0, last=0)
    assert batch.images.shape == (0, 1, 8, 8)
    assert (batch.forward, batch.backward) == (0, 0)
