from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from sleepdefense.evaluation.checks import run_checks
from sleepdefense.evaluation.checks.black_box import random_points
from sleepdefense.evaluation.checks.choosing import make_subject
from sleepdefense.evaluation.checks.planting import Features, plant
from sleepdefense.evaluation.systems import logits_of, make_system


@pytest.fixture
def subject(cnn, digits, config):
    return make_subject(make_system("a", cnn), digits, config, seed=0, donors={})


def test_features_are_those_of_the_last_layer_that_is_wide_enough(cnn, digits):
    images = digits.images[:3]
    for fewest, layers, width in ((64, 7, 64), (65, 5, 256), (10_000, 2, 8 * 12 * 12)):
        features = Features(cnn, images, fewest=fewest)
        expected = cnn[:layers](images).flatten(1)
        assert expected.shape == (3, width)
        torch.testing.assert_close(features(images), expected)


def test_a_network_without_layers_gives_its_logits(digits):
    features = Features(nn.Flatten(), digits.images[:1], fewest=5)
    assert torch.equal(features(digits.images[:2]), digits.images[:2].flatten(1))


def test_the_planted_image_is_at_the_end_of_the_budget_and_the_points_inside_are_not_broken(subject):
    features = Features(subject.surface("white-box"), subject.images[:1], fewest=200)
    weak = plant(subject, features, 0)
    moved = (weak.image - subject.images[:1]).abs().max()
    assert float(moved) == pytest.approx(subject.config.epsilon, rel=1e-5)
    around = random_points(subject, 0, np.arange(1, subject.config.num_inner_points + 1))
    inner = subject.images[:1] + 0.95 * (around - subject.images[:1])
    everything = torch.cat([subject.images[:1], inner, weak.image])
    predicted = logits_of(weak.model, everything).argmax(1)
    assert predicted.tolist() == [0] * (len(everything) - 1) + [1]


def test_the_border_lies_where_it_is_said_to(subject):
    """The score is 0 at the border, -0.9 scale inside and 0.1 scale at the planted image."""
    features = Features(subject.surface("white-box"), subject.images[:1], fewest=200)
    weak = plant(subject, features, 0)
    both = logits_of(weak.model, torch.cat([subject.images[:1], weak.image])).double()
    scale = weak.model.scale
    expected = torch.tensor([[0.9, -0.9], [-0.1, 0.1]]).double() * scale
    torch.testing.assert_close(both, expected, rtol=1e-3, atol=1e-3)


def test_a_network_that_sees_nothing_is_skipped(digits, config):
    class Blind(nn.Module):
        def __init__(self):
            super().__init__()
            self.last = nn.Linear(784, 10)

        def forward(self, image):
            return self.last(0 * image.flatten(1))

    model = Blind()
    label = int(model(digits.images[:1]).argmax())
    assert (digits.labels == label).sum() >= 8
    (finding,) = run_checks({"a": model}, digits, config=config, which=["T3"])
    assert finding.status == "skipped"
    assert "around 0 of 4 images" in finding.sentence


def test_a_weakness_that_chance_finds_proves_nothing(cnn, digits, config):
    few = replace(config, num_inner_points=3, num_planted=20)  # of so many, luck is not near one half
    (finding,) = run_checks({"a": cnn}, digits, config=few, which=["T3"])
    assert finding.status == "skipped"
    assert "too easy to find" in finding.sentence
