"""A table as a reader looks at it."""

from report_samples import attacked, clean, evaluation_table, judged, paper_table, table_of

from sleepdefense.report.threats import ADAPTIVE, NO_MODEL, OBLIVIOUS, QUERY, WHITE_BOX, in_order, threat_of
from sleepdefense.report.views import (
    attack_views,
    budgets,
    by_norm,
    headline_attack,
    minimises,
    valid_numbers,
)


def test_both_threat_models_are_one_without_a_defence() -> None:
    view = headline_attack(attack_views(paper_table()))
    assert view is not None
    assert view.title == "FGSM 0.3, Linf"
    assert view.row("no defence", OBLIVIOUS) is view.row("no defence", WHITE_BOX)
    assert view.row("defence before sleep", OBLIVIOUS) is not view.row("defence before sleep", WHITE_BOX)
    assert view.row("nobody", WHITE_BOX) is None


def test_clean_images_count_for_both_threat_models() -> None:
    clean = attack_views(paper_table())[0]
    assert not clean.is_attack
    assert clean.models() == ()
    assert clean.row("no defence", OBLIVIOUS) is clean.row("no defence", WHITE_BOX)


def test_attacks_are_sorted_by_norm_and_by_what_they_ask() -> None:
    groups = by_norm(attack_views(evaluation_table()))
    assert list(groups) == ["none", "L2", "Linf"]
    assert [view.label for view in groups["none"]] == ["no attack", "GaussianNoise 0.3"]
    assert [view.name for view in groups["L2"]] == ["DDN 1.5", "ContrastReduction 1.5"]
    ddn, contrast = groups["L2"]
    assert ddn.models() == (WHITE_BOX, ADAPTIVE)
    assert ddn.follows_gradient
    assert contrast.models() == (NO_MODEL,)
    assert contrast.is_attack
    assert not contrast.follows_gradient
    assert groups["Linf"][2].models("cnn") == (QUERY,)


def test_attack_that_looks_at_nothing_does_not_stand_for_one_that_does() -> None:
    contrast = by_norm(attack_views(evaluation_table()))["L2"][1]
    assert contrast.row("cnn", WHITE_BOX) is None
    assert contrast.row("cnn", NO_MODEL) is not None


def test_name_leaves_out_the_norm_that_is_said_above() -> None:
    (_, view) = attack_views(table_of(clean("x"), *attacked("x", "L2:PGD", "white-box")))
    assert (view.name, view.title) == ("PGD 1.5", "L2:PGD 1.5")


def test_headline_follows_gradients() -> None:
    rows = [clean("x"), *attacked("x", "Square", "black-box-query"), *attacked("x", "DDN", "adaptive")]
    view = headline_attack(attack_views(table_of(*rows)))
    assert view is not None
    assert view.label == "DDN 1.5"
    assert headline_attack(attack_views(table_of(*rows[:2]))) is None


def test_rows_without_a_distance_for_every_image_are_left_out() -> None:
    table = evaluation_table()
    assert [table.rows[number].attack for number in valid_numbers(table, "cnn", "Linf")] == [
        "FGSM 0.3",
        "PGD 0.3",
        "Square 0.3",
    ]
    failed = [judged("x", "clean", "none", 0, status="error: y"), *attacked("x", "PGD", "white-box")]
    assert valid_numbers(table_of(*failed), "x", "Linf") == []


def test_rows_tell_whether_they_minimise_and_within_what() -> None:
    rows = evaluation_table().rows
    assert [row.attack for row in rows if minimises(row)] == ["DDN 1.5", "DDN 1.5"]
    assert budgets(rows) == (0.3, 1.5)


def test_threat_models_have_an_order_and_foreign_ones_a_name() -> None:
    found = in_order(["mine", NO_MODEL, QUERY, ADAPTIVE, OBLIVIOUS, QUERY])
    assert found == (OBLIVIOUS, ADAPTIVE, QUERY, NO_MODEL, "mine")
    assert threat_of("mine").short == "mine"
