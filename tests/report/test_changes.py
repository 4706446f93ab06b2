"""How two networks are compared."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_samples import attacked, clean, paper_table, table_of

from sleepdefense.report.changes import change_between, paired_change, worst_change
from sleepdefense.report.threats import WHITE_BOX
from sleepdefense.report.views import attack_views


def test_change_between_two_networks_is_counted_image_by_image() -> None:
    table = paper_table()
    clean = attack_views(table)[0]
    change = change_between(table, clean, "defence before sleep", "defence after sleep", WHITE_BOX)
    assert change is not None
    assert (change.gained, change.lost) == (1, 0)
    assert change.difference == pytest.approx(1 / 40)
    assert change.is_within_chance


def test_failed_row_has_no_change() -> None:
    table = paper_table()
    failed = next(view for view in attack_views(table) if view.label == "PGD 0.3")
    assert change_between(table, failed, "defence before sleep", "defence after sleep", WHITE_BOX) is None


def test_interval_is_that_of_agresti_and_min() -> None:
    # 10 images won, 20 lost, of 100: d = -10 / 102, spread sqrt(31 - 100 / 102) / 102
    before = np.arange(100) < 50
    after = before.copy()
    after[:20], after[50:60] = False, True
    change = paired_change(before, after)
    assert (change.gained, change.lost, change.difference) == (10, 20, -0.1)
    half = 1.959964 * (31 - 100 / 102) ** 0.5 / 102
    assert change.lower == pytest.approx(-10 / 102 - half, abs=1e-6)
    assert change.upper == pytest.approx(-10 / 102 + half, abs=1e-6)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_swapping_two_networks_mirrors_the_change(pairs: list[tuple[bool, bool]]) -> None:
    before, after = np.array(pairs, dtype=bool).T
    one, other = paired_change(before, after), paired_change(after, before)
    assert one.difference == -other.difference
    assert one.lower == pytest.approx(-other.upper)
    assert -1 <= one.lower <= one.upper <= 1


def test_change_without_images_is_unknown() -> None:
    change = paired_change(np.zeros(0, bool), np.zeros(0, bool))
    assert np.isnan(change.difference)
    assert (change.lower, change.upper) == (-1.0, 1.0)


def test_image_beyond_the_budget_stands() -> None:
    # DDN, which minimises, finds image n = 1 ... 40 at 3 n / 40 (twice the budget of 1.5, times the reach):
    # within the budget the first 20, with half the reach all; every tenth is wrong anyway, 2 of the last 20
    rows = [clean("before"), *attacked("before", "DDN", "white-box")]
    table = table_of(*rows, clean("after"), *attacked("after", "DDN", "white-box", reach=0.5))
    change = change_between(table, attack_views(table)[1], "before", "after", WHITE_BOX)
    assert change is not None
    assert (change.gained, change.lost) == (0, 18)


def test_worst_cases_are_compared_after_the_same_attacks_only() -> None:
    both = "FGSM:0.3,PGD:0.3"
    rows = [clean("before"), *attacked("before", both, "white-box"), clean("after")]
    same = table_of(*rows, *attacked("after", both, "white-box", reach=0.5))
    change = worst_change(same, "Linf", "before", "after")
    assert change is not None
    assert (change.gained, change.lost) == (0, 18)
    fewer = table_of(*rows, *attacked("after", "FGSM:0.3", "white-box"))
    assert worst_change(fewer, "Linf", "before", "after") is None
    assert worst_change(same, "L2", "before", "after") is None
