"""The command line, called in this process; every command through the group."""

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import click
import numpy as np
import pytest

from sleepdefense.checkpoint import load_checkpoint
from sleepdefense.cli.main import COMMANDS, group, main


def call(*arguments: object, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Return exit status, stdout and stderr."""
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return int(stop.value.code or 0), out, err


@pytest.mark.parametrize("name", COMMANDS)
def test_help_begins_with_a_verb_and_ends_with_an_example(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for switch in ("-h", "--help"):
        status, out, _ = call(name, switch, capsys=capsys)
        assert status == 0
        assert f"Example: sleepdefense {name}" in out


def _paths() -> list[tuple[str, ...]]:
    """The group, every command, and every command of a command."""
    found: list[tuple[str, ...]] = [()]
    context = click.Context(group)
    for name in COMMANDS:
        command = group.get_command(context, name)
        parts = command.commands if isinstance(command, click.Group) else {}
        found += [(name,), *((name, part) for part in parts)]
    return found


@pytest.mark.parametrize("path", _paths(), ids=" ".join)
def test_examples_stand_on_lines_of_their_own_without_markup(
    path: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, _ = call(*path, "--help", capsys=capsys)
    assert status == 0
    assert "\\" not in out
    assert "\b" not in out
    lines = [line.strip() for line in out.splitlines() if "Example:" in line]
    assert lines
    assert all(line.startswith("Example: sleepdefense ") for line in lines)


def test_the_package_runs_as_a_module() -> None:
    command = [sys.executable, "-m", "sleepdefense", "--version"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.strip().endswith(version("sleepdefense"))


def test_starting_up_imports_nothing_heavy() -> None:
    code = (
        "import sys; from sleepdefense.cli.main import main, group\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'numba', 'scipy', 'matplotlib', 'h5py', 'foolbox', 'sklearn', 'snntorch'}\n"
        "print('HEAVY', sorted(heavy & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "HEAVY []" in result.stdout


def test_steps_from_the_shell_and_no_dose_gives_back_the_awake_arrays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    digits = ("--data", "digits", "--limit", 96)
    c, vae = tmp_path / "c.h5", tmp_path / "vae.h5"
    call("train", "c4", *digits, "--set", "hidden=16", "--epochs", 2, "--out", c, capsys=capsys)
    small = ("--set", "hidden=24", "--set", "latent=4", "--epochs", 2, "--attacks", "FGSM")
    call("train", "fc-vae", *digits, *small, "--classifier", c, "--out", vae, capsys=capsys)
    spiking = tmp_path / "spiking.h5"
    status, out, _ = call("convert", vae, *digits, "--steps", "8", "--out", spiking, capsys=capsys)
    assert status == 0
    assert "integrate-and-fire neurons" in out
    for dose in (0, 0.05):
        slept, woken = tmp_path / f"slept{dose}.h5", tmp_path / f"woken{dose}.h5"
        status, out, _ = call(
            "sleep", spiking, *digits, "--dose", dose, "--steps", 8, "--out", slept, "--json", capsys=capsys
        )
        assert status == 0
        assert json.loads(out)["out"] == str(slept)
        call("convert", slept, "--out", woken, capsys=capsys)
    awake = load_checkpoint(vae).arrays
    same, changed = (load_checkpoint(tmp_path / f"woken{dose}.h5").arrays for dose in (0, 0.05))
    assert all(awake[name].tobytes() == same[name].tobytes() for name in awake)
    assert sorted(awake) == sorted(same)
    assert any(not np.array_equal(awake[name], changed[name]) for name in awake)
    arguments = ("eval", woken, "--classifier", c, "--data", "digits", "--limit", 20, "--attacks", "FGSM")
    status, out, _ = call(*arguments, "--json", "--no-checks", "--out", tmp_path / "r.h5", capsys=capsys)
    assert status == 0
    assert {row["threat_model"] for row in json.loads(out)["rows"]} == {"none", "oblivious", "white-box"}
    status, out, _ = call(
        *arguments, "--no-checks", "--threat-model", "white-box", "--format", "csv", capsys=capsys
    )
    assert status == 0
    assert "oblivious" not in out
    behind = ("eval", slept, "--classifier", c, "--data", "digits", "--limit", 10, "--attacks", "FGSM")
    status, out, _ = call(*behind, "--num-steps", 4, "--no-checks", "--format", "markdown", capsys=capsys)
    assert status == 0
    assert f"| {slept.stem} | FGSM 0.3 | adaptive | 10 |" in out
    assert "Made by `sleepdefense eval" in out


@pytest.mark.parametrize("name", ["attacks", "models", "data", "doctor"])
def test_lists_come_as_text_and_as_json(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, text, _ = call(name, capsys=capsys)
    assert status == 0
    assert text.strip()
    status, out, _ = call(name, "--json", capsys=capsys)
    assert status == 0
    assert json.loads(out)


def test_wrong_usage_exits_with_two(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("train", capsys=capsys)[0] == 2
    assert call("frobnicate", capsys=capsys)[0] == 2
    assert call("train", "c4", "--out", "x.h5", "--set", "hidden", capsys=capsys)[0] == 2
    assert call("run", "--out", "x", "--epochs", 0, capsys=capsys)[0] == 2


def test_our_errors_are_one_line_and_exit_with_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.h5"
    broken.write_bytes(b"no checkpoint")
    preset = ("run", "--preset", "nothing", "--out", tmp_path / "r")
    for arguments, message in (
        (("train", "c9", "--out", tmp_path / "a.h5"), "there is no model 'c9'"),
        (("convert", broken, "--out", tmp_path / "a.h5"), "broken.h5"),
        (("train", "c4", "--data", "mnits", "--out", tmp_path / "a.h5"), "unknown data set 'mnits'"),
        (("train", "fc-vae", "--limit", 20, "--out", tmp_path / "a.h5"), "name its checkpoint"),
        (preset, "unknown preset 'nothing'"),
    ):
        status, _, err = call(*arguments, capsys=capsys)
        assert status == 1
        assert message in err
        assert len(err.strip().splitlines()) == 1


def test_results_are_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "c.h5"
    arguments = ("train", "c4", "--limit", 40, "--set", "hidden=4", "--epochs", 1, "--out", out)
    assert call(*arguments, capsys=capsys)[0] == 0
    before = out.read_bytes()
    status, _, err = call(*arguments, capsys=capsys)
    assert status == 1
    assert "go on with --resume, or start anew with --force" in err
    for switch in ("--resume", "--force"):
        assert call(*arguments, switch, capsys=capsys)[0] == 0
        assert out.read_bytes() == before
