import pytest
import torch
from quadrants import Quadrants, make_images
from torch import nn
from torch.testing import assert_close

from sleepdefense.attacks import ATTACKS, AttackSpec, find_attack, perturb
from sleepdefense.attacks.build import attack_batch
from sleepdefense.attacks.noise import normal_noise, sign_noise, uniform_noise
from sleepdefense.errors import ConfigError, EvaluationError

# a few steps do on images of 64 pixels
FEW_STEPS = {"CW": {"steps": 10}, "CW-strong": {"steps": 25, "binary_search_steps": 3, "learning_rate": 0.2}}
RUNNING = ["FGSM", "RAND+FGSM", "PGD", "CW", "CW-strong", "GaussianNoise", "GaussianBlur", "SaltAndPepper"]
QUICK = [
    spec.with_settings(**FEW_STEPS.get(spec.title, {}))
    for spec in ATTACKS.values()
    if spec.title
    in ("FGSM", "RAND+FGSM", "PGD", "CW", "CW-strong", "GaussianNoise", "GaussianBlur", "SaltAndPepper")
]
GRADIENT_ATTACKS = [spec for spec in QUICK if spec.needs_gradient]
STRONG = next(spec for spec in QUICK if spec.name == "CW-strong")
RANDOM_ATTACKS = ["RAND+FGSM", "PGD", "GaussianNoise", "SaltAndPepper"]


def attack(spec, model, data, *, first=0, last=None, seed=0):
    part = slice(first, last)
    index = torch.arange(len(data))[part]
    return perturb(spec, model, data.images[part], data.labels[part], index=index, seed=seed)


class Linear(nn.Module):
    """Two classes; logit 0 is the sum of `first` times pixels, logit 1 that of `second`."""

    def __init__(self, first, second):
        super().__init__()
        self.register_buffer("weight", torch.tensor([first, second]))

    def forward(self, image):
        return image.flatten(1) @ self.weight.T


@pytest.mark.parametrize("spec", QUICK, ids=lambda spec: spec.name)
def test_every_attack_stays_in_its_budget(spec, classifier, data):
    attacked = attack(spec, classifier, data)
    change = (attacked.double() - data.images.double()).flatten(1)
    assert attacked.dtype == torch.float32
    assert not attacked.requires_grad
    assert attacked.min() >= 0
    assert attacked.max() <= 1
    assert bool((change.abs().amax(1) > 0).all())
    if spec.norm == "Linf":
        assert change.abs().max() <= spec.epsilon * (1 + 1e-5) + 2**-23


@pytest.mark.parametrize("spec", GRADIENT_ATTACKS, ids=lambda spec: spec.name)
def test_every_gradient_attack_succeeds(spec, classifier, data):
    with torch.no_grad():
        assert torch.equal(classifier(data.images).argmax(1), data.labels)
        predicted = classifier(attack(spec, classifier, data)).argmax(1)
    assert not bool((predicted == data.labels).any())


@pytest.mark.parametrize("spec", QUICK, ids=lambda spec: spec.name)
def test_splitting_the_batch_changes_nothing(spec, classifier, data):
    whole = attack(spec, classifier, data)
    pieces = torch.cat(
        [attack(spec, classifier, data, first=a, last=b) for a, b in ((0, 1), (1, 7), (7, 12))]
    )
    # sums inside the model may round otherwise in other batches, which huge steps of CW carry on
    assert_close(whole, pieces, atol=2e-3 if spec.minimises else 1e-6, rtol=0)


@pytest.mark.parametrize("name", RANDOM_ATTACKS)
def test_random_parts_follow_the_seed(name, classifier, data):
    spec = find_attack(name)
    first = attack(spec, classifier, data, seed=1)
    torch.manual_seed(99)
    assert torch.equal(first, attack(spec, classifier, data, seed=1))
    assert not torch.equal(first, attack(spec, classifier, data, seed=2))


@pytest.mark.parametrize("spec", QUICK, ids=lambda spec: spec.name)
def test_the_global_generator_is_left_alone(spec, classifier, data):
    before = torch.get_rng_state()
    attack(spec, classifier, data)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("spec", QUICK, ids=lambda spec: spec.name)
def test_the_model_is_left_as_it_was(spec, data):
    model = Quadrants()
    model.norm.eval()
    model.sums.weight.requires_grad_(False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    attack(spec, model, data)
    assert [part.training for part in (model, model.sums, model.norm, model.drop)] == [
        True,
        True,
        False,
        True,
    ]
    assert [weight.requires_grad for weight in model.parameters()] == [False, True, True]
    assert all(weight.grad is None for weight in model.parameters())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


@pytest.mark.parametrize("spec", GRADIENT_ATTACKS, ids=lambda spec: spec.name)
def test_a_callable_is_attacked_like_its_module(spec, classifier, data):
    with torch.no_grad():
        attacked = attack(spec, lambda images: classifier(images), data)
    assert torch.equal(attacked, attack(spec, classifier, data))
    assert all(weight.grad is None for weight in classifier.parameters())


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
    bounded = attack(STRONG.with_settings(epsilon=epsilon), classifier, data)
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


@pytest.mark.parametrize("spec", GRADIENT_ATTACKS, ids=lambda spec: spec.name)
@pytest.mark.parametrize(
    ("model", "message"),
    [(NoGradient(), "logits have no gradient"), (Constant(), "logits do not depend on the image")],
    ids=["detached", "constant"],
)
def test_a_model_without_gradient_is_an_error(spec, model, message, data):
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


def test_a_failure_inside_foolbox_is_named(classifier, data):
    with pytest.raises(EvaluationError, match=r"attack 'FGSM 0\.3' failed inside foolbox"):
        perturb(find_attack("FGSM"), classifier, data.images * 2, data.labels, index=torch.arange(12), seed=0)


def test_an_attack_nobody_knows_is_refused(classifier, data):
    spec = AttackSpec(name="mine", norm="none")
    with pytest.raises(ConfigError, match="no attack 'mine' to run; known: FGSM"):
        attack(spec, classifier, data)
