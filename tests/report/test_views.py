"""Which system is which, and how two are compared."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_samples import judged, paper_table, table_of

from sleepdefense.report.views import (
    OBLIVIOUS,
    WHITE_BOX,
    attack_views,
    change_between,
    find_roles,
    headline_attack,
    paired_change,
)


def test_lines_of_the_paper_are_found() -> None:
    roles = find_roles(paper_table())
    assert roles.undefended == "no defence"
    assert roles.before == "defence before sleep"
    assert roles.after == "defence after sleep"
    assert roles.controls == ("control: anti",)
    assert roles.order[:3] == ("no defence", "defence before sleep", "defence after sleep")


@pytest.mark.parametrize("names", [("before sleep", "after sleep"), ("awake", "woken")])
def test_network_without_purifier_has_no_undefended_line(names: tuple[str, str]) -> None:
    roles = find_roles(table_of(*(judged(name, "clean", "none", 9) for name in (*names, "control: x"))))
    assert (roles.undefended, roles.before, roles.after) == (None, *names)
    assert roles.controls == ("control: x",)


def test_names_count_more_than_the_order() -> None:
    rows = [judged(name, "clean", "none", 9) for name in ("x", "after sleep", "before sleep")]
    roles = find_roles(table_of(*rows))
    assert (roles.before, roles.after, roles.controls) == ("before sleep", "after sleep", ("x",))


def test_both_threat_models_are_one_without_a_defence() -> None:
    view = headline_attack(attack_views(paper_table()))
    assert view is not None
    assert view.title == "FGSM 0.3, Linf"
    assert view.row("no defence", OBLIVIOUS) is view.row("no defence", WHITE_BOX)
    assert view.row("defence before sleep", OBLIVIOUS) is not view.row("defence before sleep", WHITE_BOX)
    assert view.row("nobody", WHITE_BOX) is None


def test_clean_images_count_for_both_threat_models() -> None:
    clean = attack_views(paper_table())[0]
    assert not clean.needs_model
    assert clean.row("no defence", OBLIVIOUS) is clean.row("no defence", WHITE_BOX)


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
