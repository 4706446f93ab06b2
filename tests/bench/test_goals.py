import json

import pytest

from sleepdefense.bench.goals import GOALS, GROUPS, Row, judge, missing, tell


@pytest.mark.parametrize("key", GOALS)
def test_what_reaches_the_bar_has_met_it(key: str) -> None:
    bar, better = GOALS[key].bar, 1.01 if GOALS[key].at_least else 0.99
    assert judge(key, bar).met is True
    assert judge(key, bar * better).met is True
    assert judge(key, bar / better).met is False


@pytest.mark.parametrize("key", GOALS)
def test_an_aim_is_harder_than_its_bar(key: str) -> None:
    goal = GOALS[key]
    if goal.aim is not None:
        assert judge(key, goal.aim).met is True
        assert judge(key, goal.bar).aim_met is False
        assert judge(key, goal.aim).aim_met is True
    else:
        assert judge(key, goal.bar).aim_met is None


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    row = judge("spyketorch", None, "not here")
    assert row.met is None
    assert row.aim_met is None
    assert row.note == "not here"
    assert judge("threads", 0.5, "busy", is_judged=False).met is None
    assert tell("rates", "anything", 3.0, "x").met is None


def test_every_goal_of_a_group_gets_a_row() -> None:
    known = [judge("snntorch-image", 30.0)]
    rows = missing(known, ["opponents", "threads"], "why")
    assert [row.figure for row in rows] == [
        GOALS[key].figure for key in ("spyketorch", "snntorch-step", "threads")
    ]
    assert {row.note for row in rows} == {"why"}


def test_figures_are_unique_and_groups_are_in_order() -> None:
    assert len({goal.figure for goal in GOALS.values()}) == len(GOALS)
    assert GROUPS == ("opponents", "rates", "peak", "learning", "steps", "threads", "compile", "memory")


def test_a_row_as_json() -> None:
    row = Row(group="rates", figure="speed", unit="x", value=9.0, bar=8.0, aim=12.0, note="n")
    assert json.loads(json.dumps(row.to_json())) == {
        "group": "rates",
        "figure": "speed",
        "value": 9.0,
        "unit": "x",
        "bar": 8.0,
        "aim": 12.0,
        "better": "more",
        "met": True,
        "aim_met": False,
        "note": "n",
    }
