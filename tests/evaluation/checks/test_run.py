import copy
import sys
from dataclasses import replace

import masks
import pytest
import torch
from quadrants import Quadrants, make_images
from torch import nn

from sleepdefense.attacks.any_of import AnyOf
from sleepdefense.attacks.eot import EOT
from sleepdefense.data.image_set import ImageSet
from sleepdefense.errors import ConfigError, UnfinishedError
from sleepdefense.evaluation.checks import CheckConfig, gradient_checks, run_checks
from sleepdefense.evaluation.systems import make_system


def test_the_same_seed_gives_the_same_findings(cnn, digits, config):
    system, which = {"a": masks.Noisy(cnn)}, ["G1", "G4", "S1", "S5", "S7", "T3"]
    torch.manual_seed(5)
    first = run_checks(system, digits, config=config, seed=3, which=which)
    torch.manual_seed(6)
    assert run_checks(system, digits, config=config, seed=3, which=which) == first
    assert run_checks(system, digits, config=config, seed=4, which=which) != first


@pytest.mark.parametrize("batch_size", [7])
def test_the_batch_size_changes_nothing(batch_size, cnn, digits, config):
    masked = masks.Quantised(cnn)  # stands, so that nothing is cut short
    which = ["G1", "G2", "G3", "S1", "S5", "S6", "S7"]
    config = replace(config, num_images=10, num_random_points=16)
    one = run_checks({"a": masked}, digits, config=config, which=which)
    other = run_checks({"a": masked}, digits, config=replace(config, batch_size=batch_size), which=which)
    assert "error" not in {finding.status for finding in one}
    for left, right in zip(one, other, strict=True):
        assert replace(left, value=None, forward=0, backward=0) == replace(
            right, value=None, forward=0, backward=0
        )
        assert left.value == pytest.approx(right.value, abs=1e-6)


@pytest.mark.long
def test_checks_alone_find_what_they_find_together(cnn, digits, config):
    system = {"a": masks.Quantised(cnn)}
    together = run_checks(system, digits, config=config, which=["G1", "S1", "S6", "S7"])
    for finding in together:
        (alone,) = run_checks(system, digits, config=config, which=[finding.check])
        assert replace(alone, forward=0, backward=0) == replace(finding, forward=0, backward=0)


def test_nothing_is_left_changed(cnn, digits, config):
    model = nn.Sequential(copy.deepcopy(cnn), nn.Dropout(0.5)).train()
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    state, trace, grad = torch.get_rng_state(), sys.gettrace(), torch.autograd.grad
    which = ["G1", "G2", "G4", "G5", "S1", "S4", "T3"]
    run_checks({"a": model}, digits, config=replace(config, num_planted=1), which=which)
    assert torch.equal(torch.get_rng_state(), state)
    assert sys.gettrace() is trace
    assert torch.autograd.grad is grad
    assert all(part.training for part in model.modules())
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
    assert all(weight.grad is None for weight in model.parameters())
    assert all(not part._forward_pre_hooks for part in model.modules())


class Raising(nn.Module):
    def __init__(self, model, error):
        super().__init__()
        self.model, self.error = model, error

    def forward(self, image):
        if image.requires_grad:
            raise self.error
        return self.model(image)


@pytest.mark.parametrize("error", [RuntimeError("no gradient here"), TypeError()])
def test_a_model_that_raises_is_a_finding(error, cnn, digits, config):
    which = ["G1", "G2", "G5", "S1", "S6", "S7", "T1", "R1"]
    findings = run_checks({"a": Raising(cnn, error), "b": cnn}, digits, config=config, which=which)
    failed = {finding.check for finding in findings if finding.system == "a" and finding.status == "error"}
    assert failed == set(which)
    words = str(error) or "TypeError"
    assert all(words in finding.sentence for finding in findings if finding.status == "error")
    assert not [finding for finding in findings if finding.system == "b" and finding.is_flag]


def test_an_interruption_is_not_a_finding(cnn, digits, config):
    for error in (UnfinishedError("stop"), KeyboardInterrupt(), OSError("disk full")):
        with pytest.raises(type(error)):
            run_checks({"a": Raising(cnn, error)}, digits, config=config, which=["G1"])


class Infinite(nn.Module):
    def forward(self, image):
        return image.flatten(1)[:, :10] / 0


def test_a_system_that_gives_no_logits_is_a_finding(digits, config):
    findings = run_checks({"a": Infinite()}, digits, config=config)
    assert {finding.status for finding in findings} == {"error"}
    assert "not finite" in findings[0].sentence


def test_few_right_images_are_not_enough(cnn, digits, config):
    few = digits.take(20)
    wrong = ImageSet(name="wrong", images=few.images, labels=(few.labels + 1) % 10, num_classes=10)
    findings = run_checks({"a": cnn}, wrong, config=config)
    assert {finding.status for finding in findings} == {"skipped"}
    assert "8 are needed" in findings[0].sentence


def test_a_plain_callable_is_checked(cnn, digits, config):
    which = ["G1", "G2", "G3", "G4", "G5", "S1", "T3"]
    findings = run_checks({"a": lambda image: cnn(image)}, digits, config=config, which=which)
    assert not [finding for finding in findings if finding.is_flag]


@pytest.mark.long
def test_another_norm_is_checked(cnn, digits, config):
    findings = run_checks({"a": cnn}, digits, config=replace(config, norm="L2", epsilon=6.0))
    assert {finding.norm for finding in findings} == {"none", "L2"}
    assert not [finding for finding in findings if finding.is_flag], findings


@pytest.mark.long
def test_small_images_are_checked():
    config = CheckConfig(num_images=16, num_random_points=20, num_planted=4)
    findings = run_checks({"a": Quadrants().eval()}, make_images(40), config=config)
    assert not [finding for finding in findings if finding.status in ("failed", "error")]


def test_costs_are_counted(cnn, digits, config):
    findings = run_checks({"a": cnn}, digits, config=config, which=["G1", "S1", "R1"])
    n, steps = config.num_images, config.steps
    assert [finding.backward for finding in findings] == [n, n * (1 + steps), 0]
    # the attack passes, and both results shown to the surface and to the system
    assert [finding.forward for finding in findings] == [n, n * (1 + steps) + 4 * n, 0]


def test_progress_counts_to_the_end(cnn, digits, config):
    calls = []
    run_checks(
        {"a": cnn, "b": cnn}, digits, config=config, which=["G1", "G3"], progress=lambda *c: calls.append(c)
    )
    assert calls == [(1, 4, "G1, a"), (2, 4, "G3, a"), (3, 4, "G1, b"), (4, 4, "G3, b")]


@pytest.mark.parametrize("which", [["R2"], ["S9"], ["g1"]])
def test_unknown_checks_are_refused(which, cnn, digits):
    with pytest.raises(ConfigError, match=which[0]):
        run_checks({"a": cnn}, digits, which=which)
    with pytest.raises(ConfigError, match=which[0]):
        gradient_checks(make_system("a", cnn), digits, which=which)


def test_no_system_is_refused(digits):
    with pytest.raises(ConfigError, match="0 systems"):
        run_checks({}, digits)


class Binarised(nn.Module):
    """A classifier of thresholded images, attacked through soft thresholds."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, image):
        return self.model((image >= 0.5).float() + 0 * image)

    def attack_surfaces(self):
        members = {"hard": self, "soft": Soft(self.model)}
        return {"white-box": self, "adaptive": AnyOf(members, judge=self)}


class Soft(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, image):
        return self.model(torch.sigmoid(20 * (image - 0.5)))


def test_a_surface_that_stands_for_several_is_as_good_as_its_best(cnn, digits, config):
    which = ["G1", "S1", "S3", "S7", "T3"]
    findings = run_checks({"a": Binarised(cnn)}, digits, config=config, which=which)
    found = {(finding.check, finding.threat_model): finding for finding in findings}
    assert found["G1", "white-box"].status == "failed"
    assert found["G1", "adaptive"].status == "passed"
    assert found["G1", "adaptive"].sentence.startswith("Through 'soft': ")
    assert found["T3", "adaptive"].status == "skipped"
    assert found["S7", "adaptive"].status == "skipped"
    assert found["S1", "adaptive"].status in ("passed", "failed")
    assert "error" not in {finding.status for finding in findings}


class Averaged(nn.Module):
    """A random network that offers its draws to attacks."""

    def __init__(self, model):
        super().__init__()
        self.noisy = masks.Noisy(model, 0.1)

    def forward(self, image):
        return self.noisy(image)

    def attack_surfaces(self):
        return {"white-box": self, "adaptive": EOT(self.noisy, draws=4)}


def test_a_random_network_that_is_averaged_only_warns(cnn, digits, config):
    findings = run_checks({"a": Averaged(cnn)}, digits, config=config, which=["G1", "G4", "S1"])
    found = {(finding.check, finding.threat_model): finding.status for finding in findings}
    assert found["G4", "white-box"] == "warned"
    assert found["G4", "adaptive"] == "passed"
    assert found["S1", "adaptive"] == "passed"
