"""Tables that must not be taken at face value say so."""

from report_samples import judged, paper_table, table_of

from sleepdefense.report.doubts import warnings


def test_failed_and_doubtful_rows_are_warned_of() -> None:
    words = " ".join(warnings(paper_table()))
    assert "3 of 18 rows could not be measured" in words
    assert "3 rows come from attacks that found no gradient" in words


def test_attack_through_the_defence_that_does_less_harm_is_suspicious() -> None:
    rows = [
        judged("x", "clean", "none", 38),
        judged("x", "FGSM 0.3", "oblivious", 5),
        judged("x", "FGSM 0.3", "white-box", 35),
    ]
    missing, words = warnings(table_of(*rows))
    assert missing == "No attack was adapted to 'x'."
    assert "masked gradients" in words
    assert "'x' under FGSM 0.3, Linf" in words


def test_iterated_attack_weaker_than_one_step_is_named() -> None:
    rows = [
        judged("x", "clean", "none", 38),
        judged("x", "FGSM 0.3", "white-box", 1),
        judged("x", "PGD 0.3", "white-box", 20, spec="PGD(epsilon=0.3,steps=2)"),
        judged("x", "Other 0.3", "white-box", 30, spec="NoSuchAttack"),
    ]
    (words,) = warnings(table_of(*rows))
    assert words.startswith("PGD 0.3 leaves more right than FGSM 0.3 ('x')")


def test_nothing_to_warn_of() -> None:
    rows = [
        judged("x", "clean", "none", 38),
        judged("x", "FGSM 0.3", "oblivious", 20),
        judged("x", "FGSM 0.3", "white-box", 5),
        judged("x", "FGSM 0.3", "adaptive", 4),
    ]
    assert warnings(table_of(*rows)) == []
