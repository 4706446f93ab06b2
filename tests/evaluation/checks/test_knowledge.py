"""A purifier in front of a classifier: whom the oblivious row misleads."""

import masks
import pytest
from torch import nn

from sleepdefense.evaluation.checks import run_checks
from sleepdefense.models.purified import Purified


class Levels(nn.Module):
    """A purifier that rounds an image to two levels; its gradient is there, and zero."""

    def forward(self, image):
        return (image > 0.5).float() + 0 * image


def found(findings):
    return {(finding.check, finding.threat_model): finding for finding in findings}


def test_an_oblivious_row_that_misleads_is_called_so(cnn, digits, config):
    system = Purified(masks.Pooled(), masks.Fragile(cnn)).eval()
    findings = found(run_checks({"purified": system}, digits, config=config, which=["T1", "T2"]))
    flag = findings["T1", "oblivious"]
    assert flag.status == "warned"
    assert flag.sentence.startswith("The oblivious row is no measure of robustness: 'purified' keeps")
    assert flag.value > flag.limit == 0.1
    assert findings["T1", "white-box"].status == "passed"
    assert findings["T2", "oblivious"].status == "passed"
    assert len(findings) == 3


def test_a_purifier_without_a_gradient_fails(cnn, digits, config):
    system = Purified(Levels(), cnn).eval()
    findings = found(run_checks({"purified": system}, digits, config=config, which=["T1", "S4"]))
    assert findings["T1", "white-box"].status == "failed"
    assert findings["T1", "white-box"].value > 0.1
    assert findings["S4", "white-box"].status == "failed"
    assert "transfer from 'oblivious'" in findings["S4", "white-box"].sentence


def test_a_purifier_that_does_nothing_misleads_nobody(cnn, digits, config):
    system = Purified(nn.Identity(), cnn).eval()
    findings = run_checks({"purified": system}, digits, config=config, which=["T1", "T2"])
    assert {finding.status for finding in findings} == {"passed"}


def test_images_are_transferred_from_other_systems(cnn, digits, config):
    systems = {"masked": masks.Quantised(cnn), "plain": cnn}
    findings = run_checks(systems, digits, config=config, which=["T1", "S4"])
    by_system = {(finding.system, finding.check): finding for finding in findings}
    assert by_system["masked", "T1"].status == "failed"
    assert "made on 'plain'" in by_system["masked", "T1"].sentence
    assert by_system["masked", "S4"].status == "failed"
    assert by_system["plain", "T1"].status == "passed"


def test_a_classifier_that_stands_alone_fails_the_ablation(cnn, digits, config):
    system = Purified(nn.Identity(), masks.Quantised(cnn)).eval()
    findings = found(run_checks({"a": system}, digits, config=config, which=["T2"]))
    assert findings["T2", "oblivious"].status == "failed"
    assert findings["T2", "oblivious"].value == pytest.approx(1.0, abs=0.5)


class Oblivious(Purified):
    """A system that nobody attacks as a whole."""

    def attack_surfaces(self):
        return {"oblivious": self.classifier}


def test_a_system_that_is_never_attacked_as_a_whole_is_called_so(cnn, digits, config):
    findings = run_checks({"a": Oblivious(nn.Identity(), cnn)}, digits, config=config)
    by_check = {finding.check: finding for finding in findings}
    for check in ("S3", "S4", "S5", "T1"):
        assert by_check[check].status == "skipped"
    assert "not known at all" in by_check["T1"].sentence
