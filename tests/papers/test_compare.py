import math

import pytest
from measured_rows import LABELS, row

from sleepdefense.errors import ConfigError
from sleepdefense.evaluation.results import make_table
from sleepdefense.papers import compare, compared_markdown, compared_text, printed_column


def table(*rows):
    return make_table(rows, LABELS, provenance={"data": "toy", "seed": 0}, note="")


@pytest.fixture
def measured():
    return table(
        row("s", "", 0),
        row("s", "L2:DDN", 85),
        row("s", "L2:PGD", 20, threat_model="oblivious"),
        row("s", "L2:PGD", 90, moved=1.4),
        row("s", "L2:Boundary", 30, threat_model="black-box-query", moved=1.6),
        row("s", "Linf:BIM", 0, status="error: broken"),
        row("s", "L2:FMN", 95),
    )


def test_measured_stands_beside_printed(measured):
    lines = {line.row: line for line in compare(measured, printed_column("dim2022:CNN"))}
    ddn = lines["L2:DDN"]
    assert (str(ddn.printed), ddn.accuracy, ddn.n, ddn.verdict) == ("15 %", 0.15, 100, "inside")
    # the oblivious row of PGD is no measure of the paper's; 30 % is printed
    assert (lines["L2:PGD"].accuracy, lines["L2:PGD"].verdict) == (0.1, "above")
    # moved by 1.6, over the threshold of 1.5: all stand; 19 % is printed
    assert (lines["L2:Boundary"].accuracy, lines["L2:Boundary"].verdict) == (1.0, "below")
    assert lines["Linf:BIM"].n == 0
    assert math.isnan(lines["Linf:BIM"].accuracy)
    assert lines["Linf:BIM"].status == "error: broken"
    assert lines["L2:all"].accuracy == 0.1
    assert str(lines["L2:all"].printed_median) == "1.1"
    assert lines["L2:all 4 rows here"].accuracy == 0.05
    assert lines["L2:all 4 rows here"].printed is None
    assert "L2:BIM" not in lines  # not measured


def test_a_rounded_number_may_lie_half_a_percent_outside():
    cells = printed_column("dim2022:CNN")
    rows = [row("s", "", 0), row("s", "L2:DDN", 76)]
    (line, _) = compare(table(*rows), cells)
    assert line.lower > 0.15
    assert (line.lower - 0.005 <= 0.15) == (line.verdict == "inside")


def test_several_systems_need_a_name(measured):
    both = table(row("s", "", 0), row("s", "L2:DDN", 3), row("t", "", 0), row("t", "L2:DDN", 4))
    column = printed_column("dim2022:CNN")
    with pytest.raises(ConfigError, match="no system 'None' in the table: name one of s, t"):
        compare(both, column)
    assert compare(both, column, system="t")[0].accuracy == 0.96


def test_comparisons_are_written(measured):
    lines = compare(measured, printed_column("dim2022:CNN"))
    markdown = compared_markdown(lines, title="T").splitlines()
    assert markdown[0] == "T"
    assert "| L2:DDN | 15 % | 15.0 % | 100 | 9.3 - 23.3 | 0.1 | inside |" in markdown
    assert "| Linf:BIM | 0 % | - | 0 | - | - | - (error: broken) |" in markdown
    text = compared_text(lines, title="T").splitlines()
    assert text[1].split()[:3] == ["attack", "printed", "measured"]
    assert len(text) == 3 + len(lines)


def test_no_gradient_is_no_trouble_where_stand_ins_were_attacked():
    both = table(
        row("s", "", 0),
        row("s", "L2:DDN", 0, status="error: no gradient"),
        row("s", "L2:DDN", 85, threat_model="adaptive"),
    )
    (line, *_) = compare(both, printed_column("dim2022:CNN"))
    assert (line.accuracy, line.status) == (0.15, "ok")
    alone = table(row("s", "", 0), row("s", "L2:DDN", 0, status="error: no gradient"))
    assert compare(alone, printed_column("dim2022:CNN"))[0].status == "error: no gradient"


def test_a_worst_case_says_which_attacks_of_the_paper_it_is_without():
    column = printed_column("dim2022:CNN")
    few = table(
        row("s", "", 0),
        row("s", "L0:SaltAndPepperNoise", 7),
        row("s", "L0:Pointwise", 0, status="unfinished: 0 of 100 images"),
        row("s", "L2:Boundary", 2),
    )
    lines = {line.row: line for line in compare(few, column)}
    alone = lines["L0:all"]
    assert (alone.verdict, alone.missing, alone.is_explained) == ("below", ("L0:Pointwise",), True)
    assert "without Pointwise)" in compared_text([alone])
    assert "L2:Boundary" not in lines["L2:all"].missing
    assert f"without {len(lines['L2:all'].missing)} attacks)" in compared_text([lines["L2:all"]])
    both = table(row("s", "", 0), row("s", "L0:SaltAndPepperNoise", 7), row("s", "L0:Pointwise", 10))
    whole = {line.row: line for line in compare(both, column)}["L0:all"]
    assert (whole.verdict, whole.missing, whole.is_explained) == ("below", (), False)
