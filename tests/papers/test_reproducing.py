import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sleepdefense.checkpoint import write_text_atomic
from sleepdefense.cli import main
from sleepdefense.data.catalogue import DATASETS
from sleepdefense.errors import ConfigError
from sleepdefense.papers import Job, Measured, Outcome, Recipe, SideBySide, register, reproduce
from sleepdefense.pipeline import Context


class Cook:
    """Makes one file a seed, once, and counts how often it worked."""

    def __init__(self) -> None:
        self.made: list[int] = []

    def __call__(self, job: Job) -> Outcome:
        assert job.context.resume
        for seed in job.seeds:
            part = job.folder / f"part{seed}.txt"
            if not part.exists():
                self.made.append(seed)
                write_text_atomic(part, str(90 + seed))
        values = tuple(float((job.folder / f"part{seed}.txt").read_text()) for seed in job.seeds)
        rows = SideBySide(
            name="table1",
            title=f"Accuracy, scale {job.scale}",
            rows=("FGSM",),
            columns=("CNN",),
            measured={("FGSM", "CNN"): Measured(values=values, n=100)},
        )
        figure = job.folder / "curve.png"
        figure.write_bytes(b"png")
        return Outcome(tables=(rows,), figures=(figure,), findings=("It falls.",))


def recipe(cook: Cook) -> Recipe:
    return Recipe(
        paper="dim2022", kind="table", number=1, title="Attacks", datasets=("digits", "mnist"), cook=cook
    )


def job(folder: Path, **changes: Any) -> Job:
    plain = Job(folder=folder, scale="smoke", dataset="digits", seeds=(0, 1), context=Context(command="cmd"))
    return replace(plain, **changes)


def test_page_holds_command_seeds_versions_scale_and_numbers(tmp_path: Path) -> None:
    reproduce(recipe(Cook()), job(tmp_path / "out"), publish=tmp_path / "docs")
    page = (tmp_path / "out" / "dim2022-table1-digits.md").read_text()
    for part in ("# Table 1 of dim2022: Attacks", "**smoke**", "seeds 0, 1", "`cmd`", "torch", "- It falls."):
        assert part in page
    assert "90.5 ± 0.7" in page
    facts = json.loads((tmp_path / "docs" / "dim2022-table1-digits.json").read_text())
    assert facts["tables"][0]["cells"][0]["values"] == [90.0, 91.0]
    assert "![curve](dim2022-table1-digits-curve.png)" in page
    assert sorted(path.name for path in (tmp_path / "docs").iterdir()) == [
        "dim2022-table1-digits-curve.png",
        "dim2022-table1-digits-table1.csv",
        "dim2022-table1-digits.json",
        "dim2022-table1-digits.md",
    ]


def test_a_second_job_uses_what_the_first_one_finished(tmp_path: Path) -> None:
    cook = Cook()
    first = job(tmp_path / "out")
    reproduce(recipe(cook), first)
    (tmp_path / "out" / "part1.txt").unlink()
    with pytest.raises(ConfigError, match="exists: go on with --resume, or start anew with --force"):
        reproduce(recipe(cook), first)
    reproduce(recipe(cook), replace(first, context=Context(resume=True)))
    reproduce(recipe(cook), replace(first, context=Context(resume=True, force=True)))
    assert cook.made == [0, 1, 1]
    reproduce(recipe(cook), replace(first, context=Context(force=True)))
    assert cook.made == [0, 1, 1, 0, 1]


def test_a_folder_is_never_taken_over(tmp_path: Path) -> None:
    reproduce(recipe(Cook()), job(tmp_path / "out"))
    again = Context(resume=True)
    with pytest.raises(
        ConfigError, match="was made for dim2022 on digits at scale smoke, seeds 0 1, asked for is"
    ):
        reproduce(recipe(Cook()), job(tmp_path / "out", seeds=(0,), context=again))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("mine")
    for context in (Context(), Context(force=True), again):
        with pytest.raises(ConfigError, match="holds something else: give another --out"):
            reproduce(recipe(Cook()), job(tmp_path / "other", context=context))
    assert (tmp_path / "other" / "thesis.tex").read_text() == "mine"
    (tmp_path / "out" / "job.json").write_text("[")
    with pytest.raises(ConfigError, match="does not say what the folder was made for"):
        reproduce(recipe(Cook()), job(tmp_path / "out", context=again))


def test_bad_requests_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not made for data set 'celeba': expected one of digits, mnist"):
        reproduce(recipe(Cook()), job(tmp_path, dataset="celeba"))
    with pytest.raises(ConfigError, match="unknown scale 'huge': expected one of smoke, cpu, paper"):
        job(tmp_path, scale="huge")
    with pytest.raises(ConfigError, match="'seeds' must be different numbers"):
        job(tmp_path, seeds=(1, 1))
    with pytest.raises(ConfigError, match="unknown paper 'nobody2020'"):
        register.recipes("nobody2020")


def test_every_registered_recipe_can_be_found() -> None:
    for paper in register.COOKBOOKS:
        for known in register.recipes(paper):
            assert register.find_recipe(paper, known.kind, known.number) is known
            assert known.paper == paper
            assert set(known.datasets) <= set(DATASETS)
        with pytest.raises(ConfigError, match="no table 99 of"):
            register.find_recipe(paper, "table", 99)


def test_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    known = recipe(Cook())
    for module in (register, __import__("sleepdefense.papers", fromlist=["papers"])):
        monkeypatch.setattr(module, "recipes", lambda paper: (known,))
    out = str(tmp_path / "out")
    with pytest.raises(SystemExit) as ended:
        main(["reproduce", "dim2022", "--table", "1", "--scale", "smoke", "--seeds", "2", "--out", out])
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert "90.5 ± 0.7" in printed
    assert "- It falls." in printed
    facts = json.loads((tmp_path / "out" / "dim2022-table1-digits.json").read_text())
    assert facts["command"] == "sleepdefense reproduce dim2022 --table 1 --scale smoke --seeds 2"
    with pytest.raises(SystemExit) as ended:
        main(["reproduce", "dim2022", "--out", out])
    assert ended.value.code == 2
    assert "--table 1 Attacks" in capsys.readouterr().err


def test_a_part_is_made_alone_under_a_name_of_its_own(tmp_path: Path) -> None:
    whole, part = Cook(), Cook()
    both = replace(recipe(whole), parts={"sleep": part})
    reproduce(both.part("sleep"), job(tmp_path / "out"))
    assert (whole.made, part.made) == ([], [0, 1])
    page = (tmp_path / "out" / "dim2022-table1-sleep-digits.md").read_text()
    assert page.startswith("# Table 1 of dim2022: Attacks; sleep only\n")
    with pytest.raises(ConfigError, match="table 1 of 'dim2022' has no part 'rest': expected one of sleep"):
        both.part("rest")
    with pytest.raises(ConfigError, match="it can only be made whole"):
        recipe(whole).part("sleep")
