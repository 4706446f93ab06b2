import pytest
import torch
from numpy.testing import assert_allclose
from torch import nn

from sleepdefense.consolidation import (
    Guard,
    SleepConfig,
    accuracy_guard,
    load_diary,
    reconstruction_guard,
    sleep,
)
from sleepdefense.consolidation.guard import cut_back, part_of_the_way
from sleepdefense.conversion import to_awake
from sleepdefense.errors import ConfigError, SleepError

CONFIG = SleepConfig(num_steps=8, batch_size=8, target_batches=4, rho=0.1, k=3)


@pytest.fixture(scope="module")
def after(fc, images):
    return sleep(fc, images, config=CONFIG).network


def distance_from(awake, layer="encoder.1.weight"):
    """Score a network by how far its layer moved: exactly proportional to the factor."""
    start = awake.state_dict()[layer].double()
    length = float(start.norm())
    return lambda model: float((model.state_dict()[layer].double() - start).norm()) / length


@pytest.mark.parametrize(("tolerance", "factor"), [(1.0, 1.0), (0.052, 0.5), (0.0349, 0.3), (0.001, 0.0)])
def test_the_largest_bearable_part_is_kept(fc, after, tolerance, factor):
    guard = Guard(score=distance_from(fc.awake), tolerance=tolerance, higher_is_better=False, steps=10)
    network, verdict = cut_back(fc, after, guard)
    assert verdict.factor == factor
    assert verdict.before == 0.0
    assert verdict.factors == tuple(step / 10 for step in range(10, 9 - len(verdict.factors) + 1, -1))
    # The whole way is a dose of 0.1, here in awake weights: one scale for the whole layer.
    assert_allclose(distance_from(fc.awake)(to_awake(network)), 0.1 * factor, atol=1e-6)


def test_the_ends_of_the_way_are_the_networks_themselves(fc, after):
    assert part_of_the_way(fc, after, 0.0) is fc
    assert part_of_the_way(fc, after, 1.0) is after


def test_higher_scores_and_relative_tolerances(fc, after):
    distance = distance_from(fc.awake)
    guard = Guard(score=lambda model: -2.0 + distance(model), tolerance=0.0)
    assert cut_back(fc, after, guard)[1].factor == 1.0
    guard = Guard(score=lambda model: 2.0 - distance(model), tolerance=0.026, relative=True, steps=4)
    assert cut_back(fc, after, guard)[1].factor == 0.5


def test_the_verdict_is_in_the_diary_and_its_file(fc, images, tmp_path):
    guard = Guard(score=distance_from(fc.awake), tolerance=0.052, higher_is_better=False, steps=4)
    slept = sleep(fc, images, config=CONFIG, guard=guard, checkpoint=tmp_path / "s.h5")
    assert slept.diary.verdict.factor == 0.5
    assert load_diary(tmp_path / "s.h5").verdict == slept.diary.verdict
    assert_allclose(slept.diary.doses["encoder.1"], 0.1, rtol=1e-5)


def test_a_resumed_sleep_is_guarded_like_a_whole_one(fc, images, tmp_path):
    guard = Guard(score=distance_from(fc.awake), tolerance=0.052, higher_is_better=False, steps=4)
    path = tmp_path / "s.h5"
    first = sleep(fc, images, config=CONFIG, guard=guard, checkpoint=path)
    again = sleep(fc, images, config=CONFIG, guard=guard, checkpoint=path, resume=True)
    assert torch.equal(first.network.weights["encoder.1"], again.network.weights["encoder.1"])


def test_a_score_that_is_no_number_is_an_error(fc, after):
    with pytest.raises(SleepError, match="the guard's score is nan, expected a finite number"):
        cut_back(fc, after, Guard(score=lambda model: float("nan"), tolerance=0.1))


def test_the_reconstruction_guard_measures_the_error(fc, images):
    guard = reconstruction_guard(images, tolerance=0.1)
    assert (guard.tolerance, guard.relative, guard.higher_is_better) == (0.1, True, False)
    with torch.no_grad():
        expected = float(((fc.awake(images) - images) ** 2).mean())
    assert_allclose(guard.score(fc.awake), expected, rtol=1e-5)


def test_the_accuracy_guard_counts(images):
    labels = torch.arange(len(images)) % 2
    model = nn.Flatten()  # the brightest pixel is the class
    expected = float((model(images).argmax(1) == labels).float().mean())
    assert accuracy_guard(images, labels).score(model) == pytest.approx(expected)
    always_one = nn.Linear(64, 2)  # bias towards class 1, whatever the pixels
    nn.init.zeros_(always_one.weight)
    with torch.no_grad():
        always_one.bias.copy_(torch.tensor([0.0, 1.0]))
    guard = accuracy_guard(images, labels, classifier=always_one)
    assert (guard.score(model), guard.tolerance) == (0.5, 0.005)


@pytest.mark.parametrize(
    ("settings", "message"), [({"tolerance": -1.0}, "guard.tolerance"), ({"steps": 0}, "guard.steps")]
)
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(ConfigError, match=message):
        Guard(**{"score": float, "tolerance": 0.1, **settings})
