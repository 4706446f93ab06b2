import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from tiny_run import tiny

from sleepdefense.checkpoint import load_checkpoint
from sleepdefense.errors import ConfigError
from sleepdefense.pipeline import Context, run
from sleepdefense.report import load_record, render_page


class Killed(BaseException):
    """Stands for a kill: no code of ours catches it."""


def results(folder: Path) -> dict[str, str]:
    """Digest of every result of a run; how long it took is none."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
        if path.name not in ("timings.json", "results.timing.json") and path.is_file()
    }


def test_a_run_leaves_every_part(finished_run: Path) -> None:
    assert set(results(finished_run)) >= {
        "config.json",
        "classifier.h5",
        "pairs.h5",
        "awake.h5",
        "spiking.h5",
        "slept.h5",
        "sleep.h5",
        "woken.h5",
        "conversion.json",
        "rasters.h5",
        "samples.h5",
        "results.h5",
        "results.json",
    }
    summary = json.loads((finished_run / "results.json").read_text())
    systems = list(dict.fromkeys(row["system"] for row in summary["rows"]))
    assert systems == ["no defence", "defence before sleep", "defence after sleep", "control: shuffled"]
    models = {row["threat_model"] for row in summary["rows"] if row["system"] == "defence after sleep"}
    assert models == {"none", "oblivious", "white-box"}


def test_sleep_changed_the_encoder_and_its_mirror_and_nothing_else(finished_run: Path) -> None:
    before = load_checkpoint(finished_run / "awake.h5").arrays
    after = load_checkpoint(finished_run / "woken.h5").arrays
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert len(changed) == 2
    shapes = sorted(before[name].shape for name in changed)
    assert shapes == [(24, 784), (784, 24)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "share", [0.3, 0.8, *(pytest.param(share, marks=pytest.mark.long) for share in (0.02, 0.6, 0.97))]
)
def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(
    finished_run: Path, tmp_path: Path, share: float
) -> None:
    """Kill the run when it reports for the n-th time, n spread over all phases; then run it again."""
    calls = []
    run(tiny(), tmp_path / "whole", Context(progress=lambda done, total, text: calls.append(text)))
    stop = int(share * len(calls))
    count = 0

    def kill(done: int, total: int, text: str) -> None:
        nonlocal count
        count += 1
        if count > stop:
            raise Killed

    with pytest.raises(Killed):
        run(tiny(), tmp_path / "killed", Context(progress=kill))
    run(tiny(), tmp_path / "killed", Context(resume=True))
    assert results(tmp_path / "killed") == results(finished_run)


def test_other_settings_do_not_mix_with_a_run_that_is_there(finished_run: Path) -> None:
    with pytest.raises(ConfigError, match="is not empty: go on with --resume, or start anew with --force"):
        run(tiny(), finished_run, Context())
    with pytest.raises(ConfigError, match="holds a run with other settings"):
        run(tiny(seed=1), finished_run, Context(resume=True))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"evaluation": {"attacks": "FGSN"}}, "unknown attack 'FGSN'"),
        ({"sleep": {"rule": "hebb"}}, "unknown rule 'hebb'"),
        ({"sleep": {"controls": ["prayer"]}}, "unknown control 'prayer'"),
        ({"sleep": {"settings": {"rho": -1}}}, "sleep.rho must be >= 0"),
        ({"data": {"name": "digits", "limit": 50, "held_out": 60}}, "'data.held_out' is 60"),
    ],
    ids=lambda value: None,
)
def test_wrong_settings_are_found_before_anything_is_computed(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        run(tiny(**changes), tmp_path / "run", Context())
    assert not list((tmp_path / "run").glob("*.h5"))


def test_a_classifier_sleeps_in_the_same_pipeline(tmp_path: Path) -> None:
    model = {"model": "c3", "settings": {"hidden": 16}, "epochs": 2, "batch_size": 16}
    table = run(tiny(awake=model), tmp_path / "run", Context())
    assert list(dict.fromkeys(row.system for row in table.rows)) == [
        "before sleep",
        "after sleep",
        "control: shuffled",
    ]


def test_naps_come_with_awake_training_between(tmp_path: Path) -> None:
    sleep = {"settings": {"num_steps": 8}, "cycles": 2, "awake_steps": 2, "controls": []}
    run(tiny(sleep=sleep), tmp_path / "run", Context())
    first = load_checkpoint(tmp_path / "run" / "nap1.woken.h5").arrays
    refreshed = load_checkpoint(tmp_path / "run" / "nap1.awake.h5").arrays
    assert any(not np.array_equal(first[name], refreshed[name]) for name in first)
    assert (tmp_path / "run" / "woken.h5").exists()


def test_the_report_of_a_run_is_one_page(finished_run: Path) -> None:
    page = render_page(load_record(finished_run))
    assert "defence after sleep" in page


def test_force_removes_a_run_and_nothing_else(finished_run: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "precious.h5").write_text("not yours")
    for context in (Context(), Context(force=True), Context(resume=True)):
        with pytest.raises(ConfigError, match="holds other files and no run"):
            run(tiny(), mine, context)
    assert (mine / "precious.h5").read_text() == "not yours"
    shutil.copytree(finished_run, tmp_path / "run")
    (tmp_path / "run" / "precious.h5").write_text("not yours")
    run(tiny(), tmp_path / "run", Context(force=True))
    assert (tmp_path / "run" / "precious.h5").read_text() == "not yours"
    (tmp_path / "run" / "precious.h5").unlink()
    assert results(tmp_path / "run") == results(finished_run)
