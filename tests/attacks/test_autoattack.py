import logging
import sys

import pytest
import torch
from pyautoattack.autoattack import AutoAttack
from quadrants import make_images
from small_attacks import Sums, attack
from torch import nn

from sleepdefense.attacks import find_attack
from sleepdefense.attacks.autoattack import limit_targets_
from sleepdefense.attacks.distance import distances
from sleepdefense.attacks.noise import derive_seed
from sleepdefense.data.image_set import ImageSet


def seed_of(spec, *, run=0, first=0):
    return derive_seed(run, f"{spec.title}/from {first}")


@pytest.mark.parametrize(
    ("name", "epsilon", "version"),
    [
        ("Linf", 0.25, "standard"),
        ("L2", 2.0, "standard"),
        pytest.param("L1", 16.0, "standard", marks=pytest.mark.long),
        pytest.param("Linf", 0.14, "standard", marks=pytest.mark.long),
        pytest.param("Linf", 0.25, "rand", marks=pytest.mark.long),
    ],
)
def test_it_is_autoattack_itself(name, epsilon, version):
    data = make_images(3)
    spec = find_attack(f"{name}:AutoAttack").with_settings(epsilon=epsilon, version=version)
    ours = attack(spec, Sums(), data).images
    theirs = AutoAttack(Sums(), norm=name, eps=epsilon, version=version, seed=seed_of(spec), device="cpu")
    limit_targets_(theirs, 4)
    tracer = sys.gettrace()
    with torch.random.fork_rng(devices=[]):
        expected = theirs.run_standard_evaluation(data.images, data.labels)[0]
    sys.settrace(tracer)
    assert int((ours != data.images).flatten(1).any(1).sum()) > 0
    assert torch.equal(ours, expected.clamp(0, 1))


def test_images_that_are_wrong_anyway_are_left_alone(data):
    labels = data.labels.clone()
    labels[:4] = (labels[:4] + 1) % 4
    mixed = ImageSet(name="mixed", images=data.images, labels=labels, num_classes=4)
    for name in ("Linf:AutoAttack", "Linf:Square"):
        attacked = attack(find_attack(name), Sums(), mixed).images
        assert torch.equal(attacked[:4], data.images[:4])
        assert bool((attacked[4:] != data.images[4:]).flatten(1).any(1).all())


class FewClasses(nn.Module):
    def __init__(self, count):
        super().__init__()
        self.count = count

    def forward(self, image):
        return Sums()(image)[:, : self.count]


@pytest.mark.parametrize(
    ("count", "version"),
    [
        (2, "standard"),
        (3, "standard"),
        pytest.param(2, "rand", marks=pytest.mark.long),
        pytest.param(3, "rand", marks=pytest.mark.long),
    ],
)
def test_models_with_few_classes_can_be_attacked(count, version):
    whole = make_images(12)
    kept = whole.labels < count
    few = ImageSet(name="few", images=whole.images[kept], labels=whole.labels[kept], num_classes=count)
    spec = find_attack("Linf:AutoAttack").with_settings(version=version)
    attacked = attack(spec, FewClasses(count), few).images
    assert not bool((FewClasses(count)(attacked).argmax(1) == few.labels).any())


def test_debuggers_and_logs_are_left_alone(data, caplog):
    def tracer(frame, event, argument):
        return None

    logger, before = logging.getLogger("auto-attack"), sys.gettrace()
    caplog.set_level(logging.DEBUG)
    sys.settrace(tracer)
    try:
        attack(find_attack("Linf:AutoAttack"), Sums(), data)
        after = sys.gettrace()
    finally:
        sys.settrace(before)
    assert after is tracer
    assert not logger.disabled
    assert not [record for record in caplog.records if record.name == "auto-attack"]


@pytest.mark.parametrize(("name", "epsilon"), [("Linf", 0.14), ("L2", 1.4), ("L1", 8.0)])
def test_square_finds_more_with_more_queries(name, epsilon, data):
    few, many = (
        attack(find_attack(f"{name}:Square").with_settings(epsilon=epsilon, queries=queries), Sums(), data)
        for queries in (2, 300)
    )
    found = [Sums()(batch.images).argmax(1) != data.labels for batch in (few, many)]
    assert int(found[0].sum()) < int(found[1].sum())
    assert bool((found[1] | ~found[0]).all())
    assert torch.equal(few.images[found[0]], many.images[found[0]])
    distance = distances(data.images, many.images, name)
    assert distance.max() <= epsilon * (1 + 1e-5) + 2**-23
    assert many.forward < 12 * 305
