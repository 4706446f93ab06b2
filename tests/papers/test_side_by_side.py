import csv
import io
import math

import pytest

from sleepdefense.errors import ConfigError
from sleepdefense.evaluation.metrics import wilson_interval
from sleepdefense.papers import Measured, PrintedCell, SideBySide


def printed(value: float, as_printed: str = "") -> PrintedCell:
    return PrintedCell(table="1", row="r", system="s", value=value, unit="%", as_printed=as_printed)


def table(**cells: Measured) -> SideBySide:
    return SideBySide(
        name="table1",
        title="A title",
        rows=("FGSM", "PGD"),
        columns=("clean", "attacked"),
        printed={("FGSM", "attacked"): printed(93.0), ("PGD", "attacked"): printed(math.nan, "B%")},
        measured={("FGSM", name): cell for name, cell in cells.items()},
        corner="attack",
    )


def test_interval_is_that_of_the_images_of_all_seeds() -> None:
    cell = Measured(values=(90.0, 94.0, 95.0), n=200)
    low, high = wilson_interval(180 + 188 + 190, 600)
    assert cell.interval == (100 * low, 100 * high)
    assert cell.mean == pytest.approx(93.0)
    assert cell.spread == pytest.approx(math.sqrt(7))
    assert math.isnan(Measured(values=(1.0,)).spread)
    assert Measured(values=(1.0,), unit="").interval is None
    assert Measured().interval is None


@pytest.mark.parametrize(
    ("value", "verdict"), [(50.0, "below"), (89.0, "inside"), (92.0, "inside"), (99.0, "above")]
)
def test_verdict_compares_the_printed_number_with_the_interval(value: float, verdict: str) -> None:
    rows = SideBySide(
        name="t",
        title="",
        rows=("r",),
        columns=("c",),
        printed={("r", "c"): printed(value)},
        measured={("r", "c"): Measured(values=(90.0,), n=200)},
    )
    assert rows.verdict("r", "c") == verdict
    assert rows.verdict("r", "nothing") == ""


def test_columns_with_printed_numbers_are_two() -> None:
    text = table(attacked=Measured(values=(90.0,), n=100), clean=Measured(values=(99.0,), n=100)).markdown()
    lines = text.splitlines()
    assert lines[0] == "A title"
    assert lines[2] == "| attack | clean | attacked: printed | measured |"
    assert lines[4] == "| FGSM | 99.0 [94.6, 99.8] | 93 % | 90.0 [82.6, 94.5] |"
    assert lines[5] == "| PGD | - | ? ('B%') | - |"


def test_csv_and_json_hold_every_cell_in_full_precision() -> None:
    value = 100 * 2 / 3
    cells = table(attacked=Measured(values=(value, 60.0), n=3, status="short")).as_json()["cells"]
    assert [(cell["row"], cell["column"]) for cell in cells] == [("FGSM", "attacked"), ("PGD", "attacked")]
    assert cells[1]["printed"] is None
    assert cells[1]["as_printed"] == "B%"
    lines = list(csv.DictReader(io.StringIO(table(attacked=Measured(values=(value, 60.0), n=3)).csv())))
    assert [float(each) for each in lines[0]["values"].split()] == [value, 60.0]
    assert lines[0]["printed"] == "93.0"
    assert lines[1]["mean"] == ""


def test_a_cell_that_is_in_no_row_is_an_error() -> None:
    with pytest.raises(ConfigError, match="table 'table1' has no cell 'FGSM', 'c3'"):
        table(c3=Measured())
    with pytest.raises(ConfigError, match="has a row twice"):
        SideBySide(name="t", title="", rows=("a", "a"), columns=())
    with pytest.raises(ConfigError, match=r"must be in \[0, 100\] percent"):
        Measured(values=(101.0,), n=3)
    with pytest.raises(ConfigError, match="'n' must be >= 0, got -1"):
        Measured(n=-1)
