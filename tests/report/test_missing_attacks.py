"""What a system was not attacked with is said."""

import pytest
from report_samples import attacked, clean, judged, table_of

from sleepdefense.report.missing_attacks import missing_attacks
from sleepdefense.report.summary import summary_paragraphs


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "No attack was run on 'x'"),
        ([judged("x", "GaussianNoise 0.3", "none", 9)], "No attack was run on 'x'"),
        (attacked("x", "PGD", "oblivious"), "No attack followed gradients through the whole of 'x'"),
        (attacked("x", "ContrastReduction", "none"), "No attack followed gradients through the whole of 'x'"),
        (attacked("x", "Square", "black-box-query"), "No attack followed gradients through the whole of 'x'"),
        ([judged("x", "PGD 0.3", "white-box", 0, status="error: z")], "Every attack on 'x' failed to run"),
        (
            [*attacked("x", "FGSM", "oblivious"), judged("x", "PGD 0.3", "white-box", 0, status="error: z")],
            "Every attack through the whole of 'x' failed to run",
        ),
        (
            [*attacked("x", "FGSM", "oblivious"), *attacked("x", "FGSM", "white-box")],
            "No attack was adapted to 'x'.",
        ),
        (
            attacked("x", "FGSM", "white-box", status="no gradient: 4 of 40 images"),
            "No attack was adapted to 'x'.",
        ),
    ],
)
def test_gap_is_named(rows: list, words: str) -> None:
    table = table_of(clean("x"), *rows)
    (gap,) = missing_attacks(table, ["x"])
    assert gap.startswith(words)
    assert gap in summary_paragraphs(table)[0]


@pytest.mark.parametrize(
    "rows",
    [
        attacked("x", "PGD", "white-box"),
        [*attacked("x", "FGSM", "oblivious"), *attacked("x", "FGSM", "adaptive")],
    ],
)
def test_system_that_met_what_it_needs_has_no_gap(rows: list) -> None:
    assert missing_attacks(table_of(clean("x"), *rows), ["x"]) == []


def test_systems_with_the_same_gap_share_a_sentence() -> None:
    assert missing_attacks(table_of(clean("x"), clean("y")), ["x", "y"]) == [
        "No attack was run on 'x' or 'y': nothing here tells how robust it is."
    ]
