"""Checks on tables made by hand: ten images, distances written down."""

import math
from dataclasses import replace

import numpy as np
import pytest

from sleepdefense.attacks import parse_attack
from sleepdefense.errors import ConfigError
from sleepdefense.evaluation import evaluate
from sleepdefense.evaluation.checks import TABLE_CHECKS, table_checks
from sleepdefense.evaluation.results import Judged, make_table

N = 100
LABELS = (np.arange(N) % 10).astype(np.int32)
PROVENANCE = {
    "data": "mnist/test",
    "seed": 0,
    "versions": {"torch": "2"},
    "fingerprint": {"images": "a", "attacks": ["FGSM"], "systems": {"s": {}}},
}


def judged(attack, threat_model, moved):
    """A row in which image i is broken at distance moved[i], or never if that is infinite."""
    moved = np.asarray(moved, float)
    spec = None if attack is None else parse_attack(attack)
    broken = np.isfinite(moved) & (spec is not None)
    return Judged(
        description={
            "system": "s",
            "attack": "clean" if spec is None else spec.label,
            "key": "clean" if spec is None else spec.key,
            "spec": "" if spec is None else str(spec),
            "norm": "none" if spec is None else spec.norm,
            "epsilon": None if spec is None else spec.epsilon,
            "threat_model": threat_model,
            "status": "ok",
        },
        predicted=np.where(broken, (LABELS + 1) % 10, LABELS).astype(np.int32),
        moved=np.where(np.isfinite(moved), moved, 0.0),
        sample_images=np.zeros((1, 1, 2, 2), np.float32),
    )


def broken_up_to(share, distance=0.3, start=0):
    """Break a share of the images, those from number `start` on."""
    moved = np.full(N, math.inf)
    moved[start : start + round(share * N)] = distance
    return moved


def table(*rows, **provenance):
    return make_table(
        [judged(None, "none", np.zeros(N)), *rows],
        LABELS,
        provenance={**PROVENANCE, **provenance},
        note="",
    )


def found(results, check):
    return {finding.threat_model: finding for finding in table_checks(results, which=[check])}


@pytest.mark.long
def test_every_check_says_something_of_a_real_table(cnn, digits):
    results = evaluate(
        cnn, digits.take(40), "FGSM:0.3,PGD(epsilon=0.3,steps=10,relative_step=0.2)", name="cnn"
    )
    findings = table_checks(results)
    assert {finding.check for finding in findings} == set(TABLE_CHECKS)
    status = {finding.check: finding.status for finding in findings}
    assert status == {
        "S1": "passed",
        "S2": "skipped",
        "S3": "skipped",
        "S4": "skipped",
        "T1": "skipped",
        "R1": "passed",
        "R2": "passed",
        "R3": "passed",
    }


@pytest.mark.parametrize(("missed", "status"), [(0.02, "passed"), (0.03, "failed")])
def test_images_that_only_one_step_breaks_fail_s1(missed, status):
    """Of 100 images d = 0.02: two may be missed, three may not."""
    fgsm = judged("FGSM:0.3", "white-box", broken_up_to(0.5))
    pgd = judged("PGD:0.3", "white-box", broken_up_to(0.5 - missed, start=round(100 * missed)))
    finding = found(table(fgsm, pgd), "S1")["white-box"]
    assert finding.status == status
    assert finding.value == pytest.approx(missed)
    assert finding.limit == pytest.approx(0.02)


def test_another_budget_or_surface_is_not_compared():
    fgsm = judged("FGSM:0.3", "white-box", broken_up_to(0.5))
    other = judged("PGD:0.2", "white-box", broken_up_to(0.1, 0.2))
    oblivious = judged("PGD:0.3", "oblivious", broken_up_to(0.1))
    assert found(table(fgsm, other, oblivious), "S1")["none"].status == "skipped"


def test_a_larger_budget_that_breaks_less_fails_s2():
    small = judged("PGD:0.1", "white-box", broken_up_to(0.5, 0.1))
    large = judged("PGD:0.2", "white-box", broken_up_to(0.4, 0.2))
    assert found(table(small, large), "S2")["white-box"].status == "failed"
    assert found(table(small, large), "S2")["white-box"].value == pytest.approx(0.1)
    swapped = judged("PGD:0.2", "white-box", broken_up_to(0.6, 0.2))
    assert found(table(small, swapped), "S2")["white-box"].status == "passed"


@pytest.mark.parametrize(("left", "status"), [(0.12, "passed"), (0.13, "failed")])
def test_grey_must_not_be_recognised(left, status):
    """Chance is 0.1 of ten classes, d is 0.02."""
    rows = table(judged("PGD:0.5", "white-box", broken_up_to(1 - left, 0.5)))
    assert found(rows, "S3")["white-box"].status == status


@pytest.mark.parametrize(("distance", "status"), [(9.0, "passed"), (9.5, "failed")])
def test_no_digit_may_be_farther_than_another_digit(distance, status):
    rows = table(judged("CW", "white-box", np.full(N, distance)))
    assert found(rows, "S3").popitem()[1].status in (status, "skipped")
    strong = table(judged("L2:DDN", "white-box", np.full(N, distance)))
    assert found(strong, "S3")["white-box"].status == status


def test_queries_that_win_fail_s4():
    pgd = judged("PGD:0.3", "white-box", broken_up_to(0.2))
    square = judged("Linf:Square", "black-box-query", broken_up_to(0.5))
    finding = found(table(pgd, square), "S4")["white-box"]
    assert finding.status == "failed"
    assert finding.value == pytest.approx(0.3)
    assert "Square" in finding.sentence
    weaker = judged("Linf:Square", "black-box-query", broken_up_to(0.1))
    assert found(table(pgd, weaker), "S4")["white-box"].status == "passed"


def test_an_oblivious_row_that_misleads_is_called_so():
    white = judged("PGD:0.3", "white-box", broken_up_to(0.9))
    oblivious = judged("PGD:0.3", "oblivious", broken_up_to(0.1))
    finding = found(table(oblivious, white), "T1")["oblivious"]
    assert finding.status == "warned"
    assert finding.value == pytest.approx(0.8)
    assert finding.sentence.startswith("The oblivious row is no measure of robustness")
    masked = judged("PGD:0.3", "white-box", broken_up_to(0.05))
    assert found(table(oblivious, masked), "T1")["white-box"].status == "failed"
    same = judged("PGD:0.3", "white-box", broken_up_to(0.15))
    assert found(table(oblivious, same), "T1")["oblivious"].status == "passed"


def test_a_success_beyond_the_budget_fails_r1():
    assert (
        found(table(judged("PGD:0.3", "white-box", broken_up_to(0.5, 0.3))), "R1")["none"].status == "passed"
    )
    beyond = found(table(judged("PGD:0.3", "white-box", broken_up_to(0.5, 0.31))), "R1")["none"]
    assert beyond.status == "failed"
    assert beyond.value == pytest.approx(0.31 / 0.3)


def test_the_worst_case_is_taken_image_by_image():
    one = judged("FGSM:0.3", "white-box", broken_up_to(0.5))
    other = judged("PGD:0.3", "white-box", broken_up_to(0.5, start=45))
    finding = found(table(one, other), "R2")["white-box"]
    assert "5.0 % stand at Linf 0.3 against 2 attacks together" in finding.sentence
    assert "50.0 % against" in finding.sentence
    assert finding.status == "passed"


def test_budgets_are_not_mixed_in_the_worst_case():
    small = judged("PGD:0.1", "white-box", broken_up_to(0.1, 0.1))
    large = judged("PGD:0.3", "white-box", broken_up_to(0.9))
    sentences = [finding.sentence for finding in table_checks(table(small, large), which=["R2"])]
    assert ["90.0 % stand at Linf 0.1" in text for text in sentences] == [True, False]
    assert ["10.0 % stand at Linf 0.3" in text for text in sentences] == [False, True]


def test_few_images_warn():
    """Of 12 images 6 stand: the interval goes from 0.254 to 0.746."""
    rows = [judged(None, "none", np.zeros(N)), judged("PGD:0.3", "white-box", broken_up_to(0.06))]
    few = [replace(row, predicted=row.predicted[:12], moved=row.moved[:12]) for row in rows]
    (finding,) = table_checks(make_table(few, LABELS[:12], provenance=PROVENANCE, note=""), which=["R2"])
    assert finding.status == "warned"
    assert "12 images are too few" in finding.sentence
    assert finding.value == pytest.approx(0.246, abs=5e-4)


def test_results_that_do_not_say_where_they_come_from_fail_r3():
    row = judged("PGD:0.3", "white-box", broken_up_to(0.5))
    assert found(table(row), "R3")["none"].status == "passed"
    finding = found(table(row, seed=None, versions={}, fingerprint={"images": "a"}), "R3")["none"]
    assert finding.status == "failed"
    assert finding.value == 4.0
    assert "seed, versions, digest of attacks, digest of systems" in finding.sentence


def test_rows_of_a_cascade_are_not_compared():
    rows = table(judged("FGSM:0.3", "white-box", broken_up_to(0.5)), cascade=True)
    for check in ("S1", "S2"):
        assert "cascade" in found(rows, check)["none"].sentence


def test_checks_that_need_a_model_are_refused():
    with pytest.raises(ConfigError, match="G1"):
        table_checks(table(), which=["G1"])
