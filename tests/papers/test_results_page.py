import dataclasses

import numpy as np
import pytest
from measured_rows import LABELS, NUM, row

from sleepdefense.evaluation.results import make_table
from sleepdefense.papers import printed_column, printed_columns, remarks_on, results_page
from sleepdefense.papers.printed import PAPERS

PROVENANCE = {"data": "mnist/test", "seed": 3, "versions": {"torch": "9"}, "fingerprint": {"batch_size": 20}}


def make(*rows):
    return make_table(rows, LABELS, provenance=PROVENANCE, note="")


def unfinished(judged, done):
    """The same row with its first images finished only."""
    description = {**judged.description, "status": f"unfinished: {done} of {NUM} images"}
    return dataclasses.replace(judged, description=description, done=np.arange(NUM) < done)


def page(table, column="dim2022:CNN"):
    return results_page(
        table, printed_column(column) if column else None, command="sleepdefense eval", date="2026-01-02"
    )


def test_printed_and_measured_stand_side_by_side_and_what_is_outside_is_explained() -> None:
    text = page(make(row("s", "", 0), row("s", "L2:BIM", 83), row("s", "L2:DDN", 95), row("s", "L2:FGM", 90)))
    lines = text.splitlines()
    assert lines[0] == "# dim2022, column CNN: printed and measured"
    assert "```\nsleepdefense eval\n```" in text
    assert "- **Seed**: 3; batches of 20" in lines
    assert "- **Written on**: 2026-01-02" in lines
    assert "| L2:BIM | 17 % | 17.0 % | 100 | 10.9 - 25.5 | 0.1 | inside |  |" in lines
    (ddn,) = (number for number, each in enumerate(remarks_on("dim2022", "CNN"), 1) if "L2:DDN" in each.rows)
    assert f"| L2:DDN | 15 % | 5.0 % | 100 | 2.2 - 11.2 | 0.1 | above | {ddn} |" in lines
    assert f"{ddn}. **L2:DDN**: foolbox 3.2.1, which the paper used" in text
    # nobody has explained an FGM of 10 %
    assert "| L2:FGM | 55 % | 10.0 % | 100 | 5.5 - 17.4 | 0.1 | above | ? |" in lines
    assert "**L2:FGM**: Nothing is known of why." in lines
    assert "## Worst case" in lines
    assert "**Unfinished**" not in text


def test_rows_that_are_not_finished_say_so_and_stay_out_of_worst_cases() -> None:
    table = make(
        row("s", "", 0),
        row("s", "L2:BIM", 20),
        unfinished(row("s", "L2:DDN", 30), 40),
        row("s", "L2:FGM", 10),
    )
    ddn = table.row("s", "DDN 1.5")
    assert (ddn.n, ddn.correct, ddn.is_whole, ddn.is_error) == (40, 10, False, False)
    assert ddn.median_distance == pytest.approx(0.1)
    assert np.isnan(table.distance[2][40:]).all()
    (worst,) = table.worst_case("white-box")
    assert (worst.attacks, worst.left_out, worst.correct) == (("L2:BIM 1.5", "FGM 1.5"), ("DDN 1.5",), 80)
    text = page(table)
    assert "- **Unfinished**: 1 of 4 rows; each says how many images it has" in text
    assert "| 25.0 % | 40 |" in text
    assert "unfinished: 40 of 100 images" in text
    assert "1 of 3 rows are unfinished" in text
    nothing = page(make(row("s", "", 0), unfinished(row("s", "L2:DDN", 30), 0), row("s", "L2:FGM", 10)))
    assert "nan" not in nothing


def test_a_page_needs_no_paper() -> None:
    text = page(make(row("net", "", 1), row("net", "L2:BIM", 20)), column=None)
    assert text.startswith("# Robustness of net\n")
    assert "printed" not in text.lower()


@pytest.mark.parametrize("paper", PAPERS)
def test_remarks_are_about_printed_rows(paper: str) -> None:
    for system in printed_columns(paper):
        column = printed_column(f"{paper}:{system}")
        told = [each for remark in remarks_on(paper, system) for each in remark.rows]
        assert set(told) <= set(column.cells)
        assert len(set(told)) == len(told)
        assert all("\n" not in remark.text for remark in remarks_on(paper, system))
