"""`sleepdefense attacks`."""

import json
import subprocess
import sys

import pytest

from sleepdefense.attacks import ATTACKS, PROFILES, parse_attack
from sleepdefense.cli.main import main


def call(*arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return int(stop.value.code or 0), out, err


@pytest.mark.parametrize("columns", [40, 80, 100, 160])
def test_the_table_fits_the_terminal_and_leaves_nothing_out(columns, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    status, out, _ = call("attacks", capsys=capsys)
    assert status == 0
    assert max(map(len, out.splitlines())) <= max(columns, 80)
    squeezed = "".join(out.split())
    for spec in ATTACKS.values():
        assert "".join(spec.description.split()) in squeezed or columns < 160
    for name in PROFILES:
        assert f"  {name} " in out


def test_every_attack_has_its_row(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    lines = call("attacks", capsys=capsys)[1].splitlines()
    for spec in ATTACKS.values():
        (row,) = (line for line in lines if line.startswith((f" {spec.label} ", f"{spec.label} ")))
        assert f" {spec.norm} " in row
        assert spec.access in row
        assert row.split()[-2:] == [str(spec.forward), str(spec.backward)]


def test_norm_and_profile_choose(capsys):
    everything = json.loads(call("attacks", "--json", capsys=capsys)[1])
    assert [row["name"] for row in everything["attacks"]] == [spec.title for spec in ATTACKS.values()]
    assert everything["profiles"]["dim42"] == [str(spec) for spec in PROFILES["dim42"]]
    chosen = json.loads(call("attacks", "--profile", "dim42", "--norm", "l1", "--json", capsys=capsys)[1])
    assert [row["text"] for row in chosen["attacks"]] == [
        str(spec) for spec in PROFILES["dim42"] if spec.norm == "L1"
    ]
    for row in chosen["attacks"]:
        spec = parse_attack(row["text"])
        assert (row["access"], row["needs_start"], row["forward"]) == (
            spec.access,
            spec.needs_start,
            spec.forward,
        )


def test_a_profile_that_is_none_is_explained(capsys):
    status, _, err = call("attacks", "--profile", "strongest", capsys=capsys)
    assert status == 1
    assert "unknown profile 'strongest'; known: quick, standard, dim42" in " ".join(err.split())


def test_the_list_needs_no_torch():
    code = (
        "import sys; from sleepdefense.cli.attacks import command; "
        "command(['--json'], standalone_mode=False); sys.exit('torch' in sys.modules)"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], check=False, stdout=subprocess.DEVNULL).returncode == 0
    )


def test_costs_can_be_measured_on_a_network_of_ones_own(tmp_path, capsys):
    network = tmp_path / "c.h5"
    small = ("--data", "digits", "--limit", 96, "--set", "hidden=16", "--epochs", 1)
    call("train", "c4", *small, "--out", network, capsys=capsys)
    chosen = ("--data", "digits", "--attacks", "FGSM,L2:DDN(steps=5)", "--images", 3)
    status, out, _ = call("bench", "attacks", network, *chosen, "--json", capsys=capsys)
    assert status == 0
    assert [(row["attack"], row["forward"], row["backward"]) for row in json.loads(out)] == [
        ("FGSM:0.3", 1, 1),
        ("DDN(epsilon=1.5,steps=5)", 6, 5),
    ]
    status, out, _ = call("bench", "attacks", network, *chosen, capsys=capsys)
    assert status == 0
    headings = ["attack", "seconds", "forward", "backward", "accuracy", "distance", "how"]
    assert out.splitlines()[0].split() == headings
