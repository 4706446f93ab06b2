import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepdefense.evaluation.results import Judged, make_table
from sleepdefense.evaluation.views import accuracy_curve, least_accuracy, norm_summary

LABELS = np.zeros(6, np.int32)


def row(attack, moved, *, norm="L2", epsilon=1.5, threat_model="white-box", system="s"):
    """Images fall at these distances; infinity: they stand; 0 in the clean row: wrong anyway."""
    clean = attack == "clean"
    far = np.array(moved, float)
    predicted = np.where(far == 0, 1, 0) if clean else np.where(far < math.inf, 1, 0)
    return Judged(
        description={
            "system": system,
            "attack": attack,
            "key": attack,
            "spec": "",
            "norm": "none" if clean else norm,
            "epsilon": None if clean else epsilon,
            "threat_model": "none" if clean else threat_model,
            "status": "ok",
        },
        predicted=predicted.astype(np.int32),
        moved=np.where(far < math.inf, far, 0.0),
        sample_images=np.zeros((1, 1, 2, 2), np.float32),
    )


INF = math.inf


@pytest.fixture
def table():
    rows = [
        row("clean", [0, INF, INF, INF, INF, INF]),
        row("A", [1, 1, 2, INF, INF, INF]),
        row("B", [1, 3, 1, 2, INF, INF], threat_model="black-box-query"),
        row("C", [9, INF, INF, INF, 8, INF], norm="L0", epsilon=12),
        row("N", [1, 1, 1, 1, 1, 1], norm="none", epsilon=None, threat_model="none"),
    ]
    return make_table(rows, LABELS, provenance={}, note="")


def test_norms_are_summed_up_over_threat_models(table):
    l2, l0, everything = norm_summary(table)
    # within 1.5: image 0 is wrong anyway, 1 falls to A, 2 to B
    assert (l2.norm, l2.correct, l2.attacks, l2.median_distance) == ("L2", 3, ("A", "B"), 1.5)
    assert (l0.norm, l0.correct, l0.attacks) == ("L0", 4, ("C",))
    assert (everything.norm, everything.correct, everything.attacks) == ("any", 2, ("A", "B", "C"))
    assert least_accuracy(table, "s") == 0.5
    assert math.isnan(least_accuracy(table, "t"))


def test_a_curve_falls_with_the_budget(table):
    curve = accuracy_curve(table, [1, 2], np.array([0.0, 0.5, 1.0, 2.0, 3.0]), label="L2")
    assert (curve.accuracy * 6).round().tolist() == [5, 5, 3, 2, 2]
    assert (curve.lower <= curve.accuracy).all()
    assert (curve.upper >= curve.accuracy).all()
    assert (curve.norm, curve.label) == ("L2", "L2")


@given(
    st.lists(st.floats(0, 5) | st.just(INF), min_size=6, max_size=6), st.lists(st.floats(0, 6), min_size=2)
)
def test_curves_never_rise_and_agree_with_the_worst_case(moved, budgets):
    found = make_table([row("clean", [INF] * 6), row("A", moved)], LABELS, provenance={}, note="")
    budgets = np.sort(np.array(budgets))
    curve = accuracy_curve(found, [1], budgets, label="A")
    assert (np.diff(curve.accuracy) <= 0).all()
    for budget, share in zip(budgets, curve.accuracy, strict=True):
        (line,) = found.worst_case("white-box", epsilon=float(budget))
        assert line.accuracy == share
