"""A plain network raises no flag; each way of hiding gradients raises the right one."""

import masks
import pytest

from sleepdefense.evaluation.checks import GRADIENT_CHECKS, gradient_checks, run_checks
from sleepdefense.evaluation.systems import make_system


def by_check(findings):
    return {finding.check: finding for finding in findings}


def flags(findings):
    return {finding.check for finding in findings if finding.is_flag}


def test_a_plain_network_raises_no_flag(cnn, digits, config):
    findings = run_checks({"plain": cnn}, digits, config=config)
    assert flags(findings) == set()
    assert {finding.check for finding in findings if finding.status == "skipped"} == {"T1", "T2"}
    assert len(findings) == 16


MUST_FAIL = {
    "saturated": {"G1", "G3", "S3", "S7", "T3"},
    "quantised": {"G1", "S3", "S7", "T3"},
    "noisy": {"G4"},
    "shattered": {"G2", "S1", "S3", "S7", "T3"},
    "inner": {"G5"},
    "probabilities": {"G3"},
    "wrong": {"G2", "S3", "S7", "T3"},
    "nan": {"G1", "T3"},
    "straight-through": {"G2"},
}


SOON = ("saturated", "noisy", "probabilities", "nan")
"""Masks that are cheap to find; the others are looked for in the long tests."""


@pytest.mark.parametrize(
    "name",
    [name if name in SOON else pytest.param(name, marks=pytest.mark.long) for name in masks.MASKS],
)
def test_a_mask_is_flagged(name, cnn, digits, config):
    system = {name: masks.MASKS[name](cnn).eval()}
    findings = by_check(run_checks(system, digits, config=config, which=sorted(MUST_FAIL[name])))
    for check in MUST_FAIL[name]:
        assert findings[check].status == "failed", (check, findings[check])
        assert findings[check].advice


@pytest.mark.parametrize("name", masks.MASKS)
def test_every_mask_is_seen_before_any_attack(name, cnn, digits, config):
    system = make_system(name, masks.MASKS[name](cnn).eval())
    findings = gradient_checks(system, digits, config=config)
    assert [finding.check for finding in findings] == list(GRADIENT_CHECKS)
    assert {finding.check for finding in findings if finding.status == "failed"} & MUST_FAIL[name]


def test_a_saturated_network_is_told_to_take_another_loss(cnn, digits, config):
    findings = by_check(run_checks({"s": masks.Saturated(cnn)}, digits, config=config, which=["G1", "G3"]))
    assert findings["G1"].value == 1.0
    assert "margin of the logits does have one on 20 of them" in findings["G1"].sentence
    assert "DLR" in findings["G3"].advice


def test_a_random_network_is_told_to_average(cnn, digits, config):
    (finding,) = run_checks({"noisy": masks.Noisy(cnn)}, digits, config=config, which=["G4"])
    assert "signal-to-noise" in finding.sentence
    assert "With its randomness fixed" in finding.sentence
    assert "logit_draws" in finding.advice
    assert finding.value > finding.limit == 1e-4
