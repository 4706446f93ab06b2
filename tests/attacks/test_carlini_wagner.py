import foolbox as fb
import pytest
import torch
from small_attacks import Sums
from torch.testing import assert_close

from sleepdefense.attacks.carlini_wagner import CarliniWagner

USUAL = {
    "learning_rate": 0.05,
    "steps": 60,
    "binary_search_steps": 5,
    "initial_const": 0.1,
    "confidence": 0.0,
    "abort_early": True,
}


class Counted(Sums):
    calls = batches = 0

    def forward(self, image):
        self.calls += len(image)
        self.batches += 1
        return super().forward(image)


def foolbox(data, **settings):
    theirs = fb.attacks.L2CarliniWagnerAttack(
        binary_search_steps=settings["binary_search_steps"],
        steps=settings["steps"],
        stepsize=settings["learning_rate"],
        confidence=settings["confidence"],
        initial_const=settings["initial_const"],
        abort_early=settings["abort_early"],
    )
    model = fb.PyTorchModel(Sums().eval(), bounds=(0, 1), device="cpu")
    return theirs.run(model, data.images, fb.criteria.Misclassification(data.labels))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"confidence": 0.5},
        {"steps": 7, "abort_early": False},
        {"binary_search_steps": 10, "steps": 20},
        {"learning_rate": 10.0, "binary_search_steps": 1, "initial_const": 100.0, "abort_early": False},
        {"steps": 100, "learning_rate": 0.3},
    ],
    ids=str,
)
def test_one_image_is_attacked_as_by_foolbox(changes, data):
    settings = {**USUAL, **changes}
    for number in range(2):
        one = data.take(number + 1)
        one = type(data)(
            name="one",
            images=one.images[number:],
            labels=one.labels[number:],
            num_classes=4,
        )
        attacked = CarliniWagner(**settings).attack(Sums(), one.images, one.labels)
        expected = foolbox(one, **settings)
        found = (expected != 0).flatten(1).any(1)[:, None, None, None]
        assert_close(attacked, torch.where(found, expected, one.images), atol=1e-4, rtol=0)


def test_a_batch_is_attacked_as_by_foolbox_if_no_search_ends_early(data):
    settings = {**USUAL, "abort_early": False}
    attacked = CarliniWagner(**settings).attack(Sums(), data.images, data.labels)
    assert_close(attacked, foolbox(data, **settings), atol=1e-4, rtol=0)


def test_what_has_ended_costs_nothing_more(data):
    # without a weight to speak of only the distance counts, which is least at the start
    settings = {**USUAL, "steps": 100, "binary_search_steps": 1, "initial_const": 1e-9}
    model = Counted()
    CarliniWagner(**settings).attack(model, data.images, data.labels)
    assert model.calls == 12 * 11
    model = Counted()
    CarliniWagner(**{**settings, "abort_early": False}).attack(model, data.images, data.labels)
    assert model.calls == 12 * 100


def test_images_do_not_wait_for_each_other(data):
    attack = CarliniWagner(**{**USUAL, "steps": 40, "learning_rate": 0.1})
    together = Counted()
    attacked = attack.attack(together, data.images, data.labels)
    alone = []
    for image, label, result in zip(data.images, data.labels, attacked, strict=True):
        model = Counted()
        assert torch.equal(attack.attack(model, image[None], label[None])[0], result)
        alone.append(model.batches)
    assert len(set(alone)) > 1
    assert together.calls == sum(alone)
    assert together.batches == max(alone)


def test_other_settings_change_other_things(data):
    usual = CarliniWagner(**USUAL).attack(Sums(), data.images, data.labels)
    sure = CarliniWagner(**{**USUAL, "confidence": 2.0}).attack(Sums(), data.images, data.labels)
    logits = Sums()(sure)
    wrong = logits.scatter(1, data.labels[:, None], -torch.inf).amax(1)
    assert bool((wrong - logits.gather(1, data.labels[:, None]).squeeze(1) >= 2.0).all())
    assert bool(
        ((sure - data.images).flatten(1).norm(dim=1) > (usual - data.images).flatten(1).norm(dim=1)).all()
    )
