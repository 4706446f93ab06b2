"""Worst cases, and curves of accuracy against distance."""

from dataclasses import replace

import numpy as np
import pytest
from report_samples import attacked, clean, evaluation_table, judged, table_of
from report_tables import lines

from sleepdefense.report.curve_figures import distance_curve, distance_curves
from sleepdefense.report.record import Printed, PrintedNumber
from sleepdefense.report.roles import find_roles
from sleepdefense.report.worst_section import curve_section, worst_section


def test_each_norm_has_a_line_with_interval_and_median_and_all_have_one() -> None:
    table = evaluation_table()
    head, system, *found = lines(worst_section(table, find_roles(table), None))
    assert head == ["norm", "attacks", "budget", "accuracy", "median distance", "what the attacker knows"]
    assert system == ["cnn"]
    # DDN, adaptive, reaches image n at 1.5 n / 40: none of 40 stands; FGSM in 0.3 leaves the last 20, 2 of
    # them wrong anyway
    assert [line[:3] for line in found] == [
        ["L2", "2", "1.5"],
        ["Linf", "3", "0.3"],
        ["any norm", "5", "each its own"],
    ]
    assert found[0][3].startswith("0.0 %")
    assert found[1][3].split() == ["45.0", "%", "30.7", "to", "60.2"]
    assert found[2][3].startswith("0.0 %")
    assert [line[5] for line in found] == [
        "white-box, adaptive, blind",
        "white-box, queries only",
        "white-box, adaptive, queries only, blind",
    ]
    assert (found[0][4], found[2][4]) == (f"{table.worst_case('all')[1].median_distance:.3g}", "")


def test_attacks_of_different_budgets_are_counted_at_each() -> None:
    table = table_of(clean("x"), *attacked("x", "FGSM:0.1,FGSM:0.3,PGD:0.3", "white-box"))
    _, _, whole, *within = lines(worst_section(table, find_roles(table), None))
    assert whole[2] == "each its own"
    assert [line[2] for line in within] == ["within 0.1", "within 0.3"]
    assert all(line[3].startswith("45.0 %") for line in [whole, *within])


def test_failed_attacks_are_named() -> None:
    failed = judged("x", "PGD 0.3", "white-box", 0, status="error: z")
    table = table_of(clean("x"), *attacked("x", "FGSM", "white-box"), failed)
    assert "without PGD 0.3 (white-box), which failed" in worst_section(table, find_roles(table), None)


def test_printed_worst_case_stands_beside_the_measured_one() -> None:
    table = evaluation_table()
    number = PrintedNumber(text="8 %", verdict="below the interval", median="1.3")
    printed = Printed(paper="dim2022:CNN", system="cnn", numbers={"Linf:all": number})
    head, _, first, second, *_ = lines(worst_section(table, find_roles(table), printed))
    assert head[5] == "printed in dim2022:CNN"
    assert first[5] == ""
    assert second[5].split() == ["8", "%", "below", "the", "interval", "median", "1.3"]


def test_nothing_attacked_has_no_worst_case() -> None:
    table = table_of(clean("x"))
    assert "nothing was attacked with a budget" in worst_section(table, find_roles(table), None)
    assert curve_section(table, find_roles(table)) == ""


def test_curve_falls_where_images_do() -> None:
    table = table_of(clean("x"), *attacked("x", "DDN", "white-box"))
    curve = distance_curve(table, "x", "L2")
    assert curve is not None
    needed = [3 * n / 40 for n in range(1, 41) if n % 10]
    np.testing.assert_allclose(curve.budgets, np.union1d(needed, [0.0, 1.5]))
    assert curve.accuracy[0] == 0.9
    assert curve.accuracy[np.searchsorted(curve.budgets, 1.5)] == 18 / 40
    assert curve.accuracy[-1] == 0.0


def test_long_curves_are_thinned() -> None:
    table = table_of(clean("x"), *attacked("x", "DDN", "white-box"))
    far = np.tile(np.linspace(0.1, 3, 4000), (2, 1))
    many = replace(
        table,
        labels=np.zeros(4000, np.int32),
        predicted=np.ones((2, 4000), np.int32),
        distance=far,
    )
    curve = distance_curve(many, "x", "L2")
    assert curve is not None
    assert 390 < len(curve.budgets) <= 402
    assert curve.accuracy[-1] == 0.0


def test_rows_without_a_result_have_no_curve() -> None:
    failed = [judged("x", "clean", "none", 0, status="error: y"), *attacked("x", "PGD", "white-box")]
    assert distance_curve(table_of(*failed), "x", "Linf") is None


def test_figure_marks_budgets_and_reaches_beyond_them() -> None:
    table = table_of(clean("x"), *attacked("x", "DDN,FGM:1.0", "white-box"), clean("y"))
    axes = distance_curves(table, find_roles(table), "L2").axes[0]
    assert [text.get_text() for text in axes.texts] == ["budget 1", "budget 1.5"]
    assert axes.get_legend_handles_labels()[1] == ["x"]
    assert axes.get_xlim()[1] > 1.3 * 1.5
    assert axes.get_xlabel().startswith("L2 distance")
    empty = distance_curves(table, find_roles(table), "L1").axes[0]
    assert [text.get_text() for text in empty.texts] == ["no attack of this norm has a result"]


@pytest.mark.parametrize(
    ("attacks", "words"),
    [
        ("FGM", "None of these attacks minimises the distance"),
        ("DDN", "All attacks minimise the distance"),
        ("DDN,FGM", "say something at every budget: 1 of 2"),
    ],
)
def test_caption_says_how_far_a_curve_holds(attacks: str, words: str) -> None:
    table = table_of(clean("x"), *attacked("x", attacks, "white-box"))
    html = curve_section(table, find_roles(table))
    assert words in html
    assert "upper bound" in html
    assert "were spared" not in html
