import functools
from typing import NamedTuple

import numpy as np
import pytest
import torch
from quadrants import Quadrants, make_images
from small_attacks import (
    COMPILED,
    EVERY,
    FAST,
    GRADIENT_ATTACKS,
    SEARCHES,
    Sums,
    attacked_images,
    pool_for,
    title,
)
from small_attacks import attack as attack_some
from torch import nn
from torch.testing import assert_close

from sleepdefense.attacks import find_attack, perturb
from sleepdefense.attacks.build import AttackedBatch, attack_batch
from sleepdefense.attacks.distance import distances
from sleepdefense.attacks.noise import normal_noise, sign_noise, uniform_noise

STRONG = next(spec for spec in FAST if spec.name == "CW-strong")
RANDOM_ATTACKS = [spec for spec in FAST if spec.is_random]
# images with one bright quarter stay what they are under noise and blur
HARMLESS = ("Repeated", "ClippingAwareRepeated", "LinearSearchGaussianBlur")


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
    return attacked_images(spec, Sums(), make_images(12))


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


@pytest.mark.parametrize("spec", SEARCHES, ids=title)
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
    pieces = torch.cat([attacked_images(spec, Sums(), data, first=a, last=b) for a, b in ((0, 1), (1, 12))])
    assert_close(run_exactly(spec), pieces, atol=1e-6, rtol=0)


@pytest.mark.long
@pytest.mark.parametrize("spec", COMPILED, ids=title)
def test_splitting_the_batch_changes_nothing_for_compiled_attacks(spec, data):
    pieces = torch.cat([attacked_images(spec, Sums(), data, first=a, last=b) for a, b in ((0, 1), (1, 12))])
    assert_close(run_exactly(spec), pieces, atol=1e-4, rtol=0)


@pytest.mark.parametrize("spec", RANDOM_ATTACKS, ids=title)
def test_random_parts_follow_the_seed(spec, data):
    first = run_exactly(spec)
    torch.manual_seed(99)
    if spec.name == "AutoAttack":  # which has no test of split batches
        assert torch.equal(first, attacked_images(spec, Sums(), data))
    other = attacked_images(spec, Sums(), data, seed=2)
    finds_nothing = torch.equal(first, data.images) and torch.equal(other, data.images)
    assert not torch.equal(first, other) or finds_nothing


@pytest.mark.parametrize("spec", GRADIENT_ATTACKS, ids=title)
def test_a_callable_is_attacked_like_its_module(spec, classifier, data):
    first = 10 if spec.name != "AutoAttack" else 0
    with torch.no_grad():
        attacked = attacked_images(spec, lambda images: classifier(images), data, first=first)
    assert torch.equal(attacked, attacked_images(spec, classifier, data, first=first))
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
    assert not torch.equal(wrong, attacked_images(find_attack("FGSM"), classifier, data))


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
    free = attacked_images(STRONG, classifier, data)
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
    far, near = (
        attacked_images(spec, classifier, data) - data.images for spec in (find_attack("CW"), STRONG)
    )
    assert near.flatten(1).norm(dim=1).max() < 0.5 * far.flatten(1).norm(dim=1).min()
