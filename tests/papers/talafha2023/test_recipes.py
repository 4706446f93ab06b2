"""The recipes of Talafha et al. 2023: what they plan, what they print, and one of them as a whole."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from sleepdefense.attacks import PROFILES, parse_attacks
from sleepdefense.models import build_model
from sleepdefense.papers import Job, find_recipe, recipes, reproduce
from sleepdefense.papers.recipe import SCALES
from sleepdefense.papers.scores import Score, Scores
from sleepdefense.papers.talafha2023.figures import rows_png
from sleepdefense.papers.talafha2023.plan import plan_for, training_attacks
from sleepdefense.papers.talafha2023.table4 import COLUMNS, oblivious_table
from sleepdefense.pipeline import Context

PAPER = "talafha2023"


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("dataset", ["mnist", "celeba", "celeba-6"])
def test_every_plan_can_be_built(scale: str, dataset: str) -> None:
    plan = plan_for(scale, dataset)
    assert len(plan.attacks) == len(parse_attacks(",".join(plan.attacks))) == 3
    assert parse_attacks(plan.pairs.attacks)
    grey = dataset == "mnist"
    common = {"channels": 1 if grey else 3, "size": 28 if grey else 64}
    classes = 64 if dataset == "celeba-6" else 10
    with torch.device("meta"):  # shapes only
        for config in plan.classifiers.values():
            build_model(config.model, {**common, **config.settings, "num_classes": classes}, seed=0)
        for config in (plan.purifier, plan.gan):
            if config is not None:
                build_model(config.model, {**common, **config.settings}, seed=0)


def test_the_papers_attacks_are_those_of_the_profile() -> None:
    asked = training_attacks(rates=(6.0, 8.0, 10.0, 12.0), cw_steps=100)
    assert [str(spec) for spec in parse_attacks(asked)] == [str(spec) for spec in PROFILES["paper-training"]]


def job(tmp_path: Path, *, dataset: str = "digits", scale: str = "smoke") -> Job:
    return Job(
        folder=tmp_path / "job",
        scale=scale,
        dataset=dataset,
        seeds=(0,),
        context=Context(command="sleepdefense reproduce talafha2023", resume=True),
    )


@pytest.mark.parametrize("dataset", ["mnist", "fashion-mnist", "celeba"])
def test_every_printed_cell_of_table_4_has_its_place(tmp_path: Path, dataset: str) -> None:
    asked = job(tmp_path, dataset=dataset, scale="cpu")
    table = oblivious_table(asked, plan_for("cpu", dataset), Scores())
    assert len(table.printed) == 10 * len(COLUMNS)
    assert all(cell.status == "not run" for cell in table.measured.values())
    assert table.printed["C2 CW", "Defense-GAN"].value == {"mnist": 98.9, "fashion-mnist": 90.6}.get(
        dataset, 79.15
    )


def test_seeds_are_joined_cell_by_cell() -> None:
    first, second = np.array([True, False]), np.array([True, True])
    score = Score((first,)).joined(Score((second,)))
    assert score.measured.values == (50.0, 100.0)
    assert score.pooled.tolist() == [True, False, True, True]


def test_equal_rows_of_images_give_equal_pictures() -> None:
    draw = torch.Generator().manual_seed(0)
    blocks = {"FGSM": {name: torch.rand(3, 1, 8, 8, generator=draw) for name in ("clean", "attacked")}}
    first = rows_png("Attacks", blocks)
    assert first == rows_png("Attacks", blocks)
    assert first.startswith(b"\x89PNG")
    assert first != rows_png("Others", blocks)


def test_all_tables_and_figures_are_listed() -> None:
    known = [(recipe.kind, recipe.number) for recipe in recipes(PAPER)]
    assert known == [("table", 4), ("table", 5), ("table", 6), ("figure", 2), ("figure", 3)]


@pytest.mark.long
def test_table_4_is_made_from_nothing_but_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one of the three classifiers, which takes a third of the time."""
    for module in ("table4", "control_table", "ensembles"):
        monkeypatch.setattr(f"sleepdefense.papers.talafha2023.{module}.TARGETS", ("C3",))
    asked = job(tmp_path)
    outcome = reproduce(find_recipe(PAPER, "table", 4), asked)
    main, white_box, controls, ensembles = outcome.tables
    for table in (main, white_box, ensembles):
        for attack in ("FGSM", "RAND+FGSM"):
            row = next(row for row in table.rows if row.startswith(f"C3 {attack}"))
            for column in table.columns:
                assert table.measured[row, column].values, (table.name, row, column)
    assert main.measured["C3 FGSM", "No defense"].mean < 15 < main.measured["C3 FGSM", "No attack"].mean
    assert any("sleep: better in" in sentence for sentence in outcome.findings)
    assert controls.measured["C3 FGSM, oblivious", "Our model: sleep"].status
    assert "scale smoke" in (asked.folder / "talafha2023-table4-digits.md").read_text()
    numbers = json.loads((asked.folder / "talafha2023-table4-digits.json").read_text())
    again = reproduce(find_recipe(PAPER, "table", 4), asked)  # everything is there already
    assert [table.as_json() for table in again.tables] == numbers["tables"]


_COOK = """
import sys
from pathlib import Path
from sleepdefense.papers import Job, find_recipe, reproduce
from sleepdefense.pipeline import Context
job = Job(folder=Path(sys.argv[1]), scale="smoke", dataset="digits", seeds=(0,),
          context=Context(command="test", resume=True))
reproduce(find_recipe("talafha2023", "figure", 2), job)
"""


@pytest.mark.long
def test_a_job_that_was_killed_goes_on_and_ends_in_the_same_bytes(tmp_path: Path) -> None:
    def cook(folder: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", _COOK, str(folder)])

    killed, whole = tmp_path / "killed", tmp_path / "whole"
    sign = killed / "seed0" / "C1" / "defense-vae.training.h5"  # it is in the middle of a training
    process = cook(killed)
    deadline = time.monotonic() + 600
    while not sign.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (killed / "figure2.png").exists()
    for folder in (killed, whole):
        assert cook(folder).wait(600) == 0
    made = sorted(path.relative_to(whole) for path in whole.rglob("*") if path.is_file())
    assert Path("figure2.png") in made
    assert made == sorted(path.relative_to(killed) for path in killed.rglob("*") if path.is_file())
    for path in made:
        if path.suffix in (".h5", ".png"):
            assert (whole / path).read_bytes() == (killed / path).read_bytes(), path
