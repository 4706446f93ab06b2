"""`sleepdefense bench`, and its table."""

import json
from pathlib import Path

import pytest

from sleepdefense.bench import GROUPS, Measured, Row
from sleepdefense.bench.goals import judge, tell
from sleepdefense.cli.bench_table import print_measured
from sleepdefense.cli.main import main


def call(*arguments: object, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Return exit status, stdout and stderr."""
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return int(stop.value.code or 0), out, err


def measured(*rows: Row, is_quick: bool = False) -> Measured:
    """Return figures as if they had been measured."""
    machine = {
        "processor": "Abacus",
        "cores": 2,
        "caches": {"L1 Data": "32K"},
        "memory_gib": 1.0,
        "python": "3.11.0",
        "versions": {"numpy": "2.0"},
        "date": "2026-01-01T00:00:00+00:00",
    }
    work = {
        "network": "S1-S4",
        "images": "digits",
        "different_images": 4,
        "batch": 16,
        "steps": 40,
        "firing_rates": [0.05],
    }
    return Measured(
        rows=rows,
        machine=machine,
        load={"before": [0.5, 0, 0], "after": None},
        workload=work,
        is_quick=is_quick,
    )


def test_help_tells_the_groups(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = call("bench", "kernels", "--help", capsys=capsys)
    assert status == 0
    assert "Example: sleepdefense bench kernels" in out
    assert all(group in out for group in GROUPS)


def test_an_unknown_group_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = call("bench", "kernels", "--only", "speed", capsys=capsys)
    assert status == 1
    assert "no group 'speed'" in err


def test_a_result_is_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "kernels.json"
    out.write_text("precious")
    status, _, err = call("bench", "kernels", "--out", out, capsys=capsys)
    assert status == 1
    assert "overwrite it with --force" in err
    assert out.read_text() == "precious"


@pytest.mark.slow
def test_json_on_stdout_and_in_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "kernels.json"
    status, text, _ = call(
        "bench", "kernels", "--quick", "--only", "threads", "--json", "--out", out, capsys=capsys
    )
    assert status == 0
    assert json.loads(text) == json.loads(out.read_text())
    found = json.loads(text)
    assert {row["group"] for row in found["rows"]} == {"threads"}
    assert found["benchmark"] == "kernels"
    assert found["quick"] is True
    assert found["machine"]["processor"]
    assert set(found["load_average"]) == {"before", "after"}
    # calibrated to 5 % on these very images
    assert all(0.05 <= rate < 0.051 for rate in found["workload"]["firing_rates"])
    assert [path.name for path in tmp_path.iterdir()] == ["kernels.json"]


def test_the_table_says_met_missed_and_not_measured(capsys: pytest.CaptureFixture[str]) -> None:
    rows = (
        judge("spyketorch", 70.0),
        judge("snntorch-image", 41.0),
        judge("threads", 1.5),
        judge("memory", None, "nobody knows"),
        tell("rates", "i16 at 5 %", 72.34, "CPU us"),
    )
    print_measured(measured(*rows).to_json())
    lines = capsys.readouterr().out.splitlines()

    def cells(part: str) -> list[str]:
        (line,) = [line for line in lines if part in line]
        return [cell.strip() for cell in line.strip("│").split("│")]

    assert cells("SpykeTorch")[2:7] == ["70", "x", ">= 60", ">= 100", "yes"]
    assert cells("snntorch")[6] == "aim"
    assert cells("second thread")[2:7] == ["1.5", "x", ">= 1.9", "", "NO"]
    assert cells("workspace")[2:8] == ["-", "MB", "<= 2", "", "-", "nobody knows"]
    assert cells("i16 at 5 %")[2:4] == ["72.34", "CPU us"]
    assert any("Abacus, 2 cores, L1 Data 32K" in line for line in lines)
    assert any("load 0.50 before, unknown after" in line for line in lines)
    assert not any("quick run" in line for line in lines)


def test_a_quick_table_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    print_measured(measured(judge("threads", 1.5), is_quick=True).to_json())
    assert "a figure near its bar needs a full run" in capsys.readouterr().out


def test_a_page_is_written_from_the_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, page = tmp_path / "kernels.json", tmp_path / "kernels.md"
    rows = judge("threads", 1.5), tell("rates", "i16 at 5 %", 72.34, "CPU us")
    source.write_text(json.dumps(measured(*rows).to_json()))
    assert call("bench", "page", source, "--out", page, capsys=capsys)[0] == 0
    lines = page.read_text().splitlines()
    assert lines[0] == "# Benchmark of the kernels"
    assert "Made by `sleepdefense bench kernels --out kernels.json`." in lines
    (line,) = [line for line in lines if "second thread" in line]
    assert line.startswith("| threads | second thread, wall time | 1.5 | x | >= 1.9 |  | NO |")
    assert "| rates | i16 at 5 % | 72.34 | CPU us |  |" in lines
    status, _, err = call("bench", "page", source, "--out", page, capsys=capsys)
    assert (status, "overwrite it with --force" in err) == (1, True)
    source.write_text("[]")
    status, _, err = call("bench", "page", source, "--out", page, "--force", capsys=capsys)
    assert (status, "holds no figures of a benchmark" in err) == (1, True)
