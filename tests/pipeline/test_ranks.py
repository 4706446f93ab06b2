"""A run, and the command that sleeps, shared by two real processes."""

import json
import os
import subprocess
import sys
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
SLEEP = """
import os
import sys
from pathlib import Path

from sleepdefense.cli import main

(Path(sys.argv[1]) / os.environ.get("RANK", "alone")).touch()
main(sys.argv[2:])
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


@pytest.mark.long  # four interpreters load torch
@pytest.mark.parametrize(
    "launcher",
    [
        ("torch.distributed.run", "--standalone", "--nproc_per_node", "2"),
        (
            "accelerate.commands.launch",
            *("--multi_gpu", "--num_processes", "2", "--num_machines", "1", "--main_process_port", "0"),
            *("--mixed_precision", "no", "--dynamo_backend", "no"),
        ),
    ],
    ids=("torchrun", "accelerate"),
)
def test_real_launchers_start_processes_that_sleep_as_one(finished_run, tmp_path, launcher):
    options = ("--limit", "40", "--dose", "0.05", "--steps", "6")
    sleep = ("sleep", str(finished_run / "spiking.h5"), *options)
    script = tmp_path / "sleep.py"
    script.write_text(SLEEP)
    path = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    for name, before in (("alone", ()), ("together", ("-m", *launcher))):
        ranks = tmp_path / name
        ranks.mkdir()
        subprocess.run(
            [sys.executable, *before, str(script), str(ranks), *sleep, "--out", str(tmp_path / f"{name}.h5")],
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
            check=True,
            timeout=300,
        )
    assert {path.name for path in (tmp_path / "together").iterdir()} == {"0", "1"}
    assert (tmp_path / "together.h5").read_bytes() == (tmp_path / "alone.h5").read_bytes()


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
