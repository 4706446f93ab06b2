"""A run, and the command that sleeps, shared by two real processes."""

import json
from pathlib import Path

import pytest
from several_processes import launch, start
from tiny_run import tiny

from sleepdefense.cli.main import main
from sleepdefense.pipeline import Context, run
from sleepdefense.report import load_record

COMMAND = "import sys; from sleepdefense.cli import main; main(sys.argv[1:])"
RUN = """
import sys
from pathlib import Path
from tiny_run import tiny
from sleepdefense.pipeline import Context, run

print(run(tiny(), Path(sys.argv[1]), Context()))
"""
AFTER_SLEEP = tuple(f"{name}.h5" for name in ("slept", "woken", "sleep", "rasters", "samples", "results"))


@pytest.mark.long  # two interpreters load torch
def test_two_processes_write_what_one_writes(finished_run, tmp_path, capsys):
    def sleep(out: Path) -> tuple[str, ...]:
        options = ("--limit", "40", "--dose", "0.05", "--steps", "6", "--held-out", "8", "--out", str(out))
        return "sleep", str(finished_run / "spiking.h5"), *options

    alone, together = tmp_path / "alone" / "slept.h5", tmp_path / "together" / "slept.h5"
    alone.parent.mkdir()
    together.parent.mkdir()
    with pytest.raises(SystemExit) as stop:
        main(list(sleep(alone)))
    assert stop.value.code == 0
    told = capsys.readouterr().out
    assert "slept on" in told
    said = launch(2, "-c", COMMAND, *sleep(together))
    assert said == [told.replace(str(alone), str(together)), ""]
    names = sorted(path.name for path in alone.parent.iterdir())
    assert names == sorted(path.name for path in together.parent.iterdir())
    for name in names:
        assert (together.parent / name).read_bytes() == (alone.parent / name).read_bytes(), name
    again = start(2, "-c", COMMAND, *sleep(together))
    assert [status for status, _ in again] == [1, 1]
    for who, (_, text) in zip(("error:", "process 1: error:"), again, strict=True):
        assert text.startswith(f"{who} '{together}' exists: go on with --resume")


@pytest.mark.long  # two interpreters load torch
def test_two_processes_share_a_run(tmp_path):
    out = tmp_path / "run"
    first, second = launch(2, "-c", RUN, str(out), timeout=300)
    assert first == second  # the table, in both
    assert "defence after sleep" in first
    found = {name: (out / name).read_bytes() for name in AFTER_SLEEP}
    assert load_record(out)
    assert json.loads((out / "timings.json").read_text())
    # How many processes slept leaves no trace: a single one gets the same from the network they trained.
    for name in (*AFTER_SLEEP, "conversion.json", "results.json"):
        (out / name).unlink()
    run(tiny(), out, Context(resume=True))
    for name in AFTER_SLEEP:
        assert (out / name).read_bytes() == found[name], name
