"""Tables attack by attack have the columns that occur, and no others."""

import re

import pytest
from report_samples import attacked, clean, evaluation_table, judged, table_of
from report_tables import lines

from sleepdefense.attacks.parse import parse_attacks
from sleepdefense.evaluation.results import RobustnessTable
from sleepdefense.report.attack_tables import attack_tables
from sleepdefense.report.record import Printed, PrintedNumber
from sleepdefense.report.roles import find_roles
from sleepdefense.report.views import attack_views


def tables(table: RobustnessTable, printed: Printed | None = None) -> dict[str, list[list[list[str]]]]:
    """Heading -> tables -> lines -> cells."""
    html = attack_tables(attack_views(table), find_roles(table), printed)
    parts = re.findall(r"<summary>(.*?)</summary>(.*?)</details>", html)
    return {name: [lines(each) for each in re.findall(r"<table.*?</table>", body)] for name, body in parts}


def test_one_network_has_a_line_for_each_attack_and_a_column_for_each_threat_model() -> None:
    found = tables(evaluation_table())
    assert list(found) == [
        "Clean images and 1 corruption",
        "L2: 2 attacks, budget 1.5",
        "Linf: 3 attacks, budget 0.3",
    ]
    following, others = found["L2: 2 attacks, budget 1.5"]
    assert following[0] == ["attack", "white-box", "adaptive"]
    assert [line[0] for line in following[1:]] == ["DDN 1.5"]
    assert "median 1.31" in following[1][1]
    assert others[0] == ["attack", "accuracy"]
    assert others[1][0].split() == ["Contrast", "Reduction", "1.5", "blind"]
    assert found["Linf: 3 attacks, budget 0.3"][0][0] == ["attack", "white-box"]
    assert [line[0] for line in found["Clean images and 1 corruption"][0]] == [
        "images",
        "no attack",
        "Gaussian Noise 0.3",
    ]


def test_oblivious_stands_beside_white_box_and_adaptive() -> None:
    rows = [clean("no defence"), *attacked("no defence", "FGSM", "white-box"), clean("defence")]
    for model in ("adaptive", "black-box-substitute", "white-box", "oblivious"):
        rows += attacked("defence", "FGSM", model)
    _, ((head, title, bare, guarded),) = tables(table_of(*rows)).values()
    assert head == ["system", "oblivious", "white-box", "adaptive", "substitute"]
    assert title == ["FGSM 0.3"]
    assert [cell[:6] for cell in bare] == ["no def", "45.0 %", "45.0 %", "not me", "not me"]
    assert all(cell.startswith("45.0 %") for cell in guarded[1:])


def test_few_networks_in_one_threat_model_stand_side_by_side() -> None:
    rows = [
        row for name in ("before", "after") for row in (clean(name), *attacked(name, "FGSM,PGD", "white-box"))
    ]
    _, ((head, *body),) = tables(table_of(*rows)).values()
    assert head == ["attack", "before", "after"]
    assert [line[0] for line in body] == ["FGSM 0.3", "PGD 0.3"]


def test_failed_row_says_why() -> None:
    table = table_of(clean("x"), judged("x", "PGD 0.3", "white-box", 0, status="error: out of <memory>"))
    html = attack_tables(attack_views(table), find_roles(table), None)
    assert "error: out of &lt;memory&gt;" in html


def test_printed_numbers_stand_beside_their_attacks() -> None:
    numbers = {"L2:DDN": PrintedNumber(text="15 %", verdict="below the interval")}
    found = tables(evaluation_table(), Printed(paper="dim2022:CNN", system="cnn", numbers=numbers))
    following, others = found["L2: 2 attacks, budget 1.5"]
    assert following[0][-1] == "printed in dim2022:CNN"
    assert following[1][-1].split() == ["15", "%", "below", "the", "interval"]
    assert others[0] == ["attack", "accuracy"]


@pytest.mark.parametrize("systems", [1, 4, 7])
def test_all_42_attacks_have_a_line_for_each_network_in_every_column(systems: int) -> None:
    specs = parse_attacks("dim42")
    rows = []
    for name in [f"n{number}" for number in range(systems)]:
        rows.append(clean(name))
        for spec in specs:
            model = {"gradient": "white-box", "query": "black-box-query", "none": "none"}[spec.access]
            rows += attacked(name, str(spec), model)
    shares = 0
    for group in tables(table_of(*rows)).values():
        for head, *body in group:
            assert all(len(line) in (1, len(head)) for line in body)
            assert all(cell for line in body for cell in line)
            shares += sum(cell.count(" to ") for line in body for cell in line)
    assert shares == (42 + 1) * systems


def test_attacks_without_a_budget_say_so() -> None:
    found = tables(table_of(clean("x"), *attacked("x", "CW", "white-box")))
    assert list(found)[1] == "L2: 1 attack, no budget"
