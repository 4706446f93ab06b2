import json
import math
from dataclasses import replace

import pytest

from sleepdefense.errors import ConfigError, EvaluationError
from sleepdefense.evaluation.checks import (
    CheckConfig,
    Finding,
    findings_from_json,
    findings_markdown,
    findings_summary,
    findings_text,
    findings_to_json,
)
from sleepdefense.evaluation.checks.finding import Verdict, make_finding, tolerance

FAILED = Finding(
    check="S1",
    system="net | 1",
    threat_model="white-box",
    norm="Linf",
    status="failed",
    value=0.125,
    limit=0.02,
    sentence="One step wins.",
    advice="Look for masks.",
    forward=64,
    backward=32,
)
PASSED = replace(FAILED, check="S2", status="passed", value=0.0, sentence="Falls.", advice="")
SKIPPED = replace(
    FAILED, check="R3", threat_model="none", norm="none", status="skipped", value=None, limit=None
)


def test_findings_survive_json():
    findings = (FAILED, PASSED, SKIPPED)
    text = json.dumps(findings_to_json(findings), allow_nan=False)
    assert findings_from_json(json.loads(text)) == findings


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"status": "fine"}, "'status' must be one of passed, failed, warned, skipped, error, got 'fine'"),
        ({"status": None}, "'status'"),
        ({"value": "0.1"}, "'value' must be a finite number or null, got '0.1'"),
        ({"value": True}, "'value'"),
        ({"limit": math.nan}, "'limit' must be a finite number"),
        ({"sentence": None}, "'sentence' must be a text, got None"),
        ({"forward": -1}, "'forward' must be a whole number >= 0, got -1"),
        ({"backward": 1.5}, "'backward'"),
        ({"colour": "red"}, "unknown fields colour"),
    ],
)
def test_a_damaged_finding_is_refused(change, words):
    with pytest.raises(EvaluationError, match=words):
        Finding.from_json({**FAILED.to_json(), **change})


def test_a_finding_that_lacks_a_field_is_refused():
    values = FAILED.to_json()
    del values["advice"]
    with pytest.raises(EvaluationError, match="lacks advice"):
        Finding.from_json(values)


def test_numbers_that_json_cannot_write_become_none():
    verdict = Verdict(status="passed", sentence="", value=math.inf, limit=math.nan)
    finding = make_finding(verdict, check="S3", system="a", threat_model="none", norm="none")
    assert (finding.value, finding.limit) == (None, None)


def test_the_summary_counts():
    assert findings_summary((FAILED, PASSED, PASSED, SKIPPED)) == "4 checks: 2 passed, 1 failed, 1 skipped"
    assert findings_summary((FAILED,)) == "1 check: 1 failed"
    assert findings_summary(2 * (replace(FAILED, status="error"),)) == "2 checks: 2 errors"
    assert findings_summary(()) == "no checks"


def test_the_text_shows_flags_and_what_to_do():
    lines = findings_text((PASSED, FAILED, SKIPPED)).splitlines()
    assert lines == [
        "failed  S1  'net | 1' (white-box, Linf): One step wins.",
        "        Look for masks.",
        "3 checks: 1 passed, 1 failed, 1 skipped",
    ]


def test_the_text_shows_everything_if_asked():
    text = findings_text((PASSED, SKIPPED, FAILED), everything=True)
    assert text.index("failed  S1") < text.index("skipped R3") < text.index("passed  S2")
    assert "R3  'net | 1': One step wins." in text
    assert text.count("Look for masks.") == 1


def test_checks_that_found_the_same_are_taken_together():
    text = findings_text((FAILED, replace(FAILED, check="S4"), PASSED))
    assert "failed  S1, S4  'net | 1'" in text
    assert text.count("One step wins.") == 1


def test_the_markdown_table_is_whole():
    lines = findings_markdown((FAILED, SKIPPED)).splitlines()
    assert lines[0] == "2 checks: 1 failed, 1 skipped"
    assert lines[4] == (
        "| S1 many steps beat one | net \\| 1 | white-box | Linf | failed | 0.125 | 0.02 "
        "| One step wins. Look for masks. |"
    )
    assert lines[5].startswith("| R3 context is recorded | net \\| 1 | none | none | skipped |  |  |")


def test_a_difference_of_one_image_and_one_point_means_nothing():
    assert tolerance(100) == pytest.approx(0.02)
    assert tolerance(1000) == pytest.approx(0.011)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"epsilon": 0.0}, "epsilon must be > 0, got 0.0"),
        ({"epsilon": math.nan}, "epsilon"),
        ({"num_images": 0}, "num_images must be >= 1, got 0"),
        ({"steps": 1}, "steps must be >= 2, got 1"),
    ],
)
def test_settings_out_of_range_are_refused(settings, words):
    with pytest.raises(ConfigError, match=words):
        CheckConfig(**settings)
