"""A folder is read as far as it can be, and what cannot is named."""

from pathlib import Path

import numpy as np
import pytest
from report_samples import LAYERS, paper_table, small_diary, small_report

from sleepdefense.checkpoint import file_digest, save_checkpoint
from sleepdefense.errors import CheckpointError
from sleepdefense.models import build_model
from sleepdefense.models.saving import awake_checkpoint
from sleepdefense.report import RunRecord, load_record, render_page


def test_whole_run_is_read(run_folder: Path) -> None:
    record = load_record(run_folder)
    assert record.absent == {}
    assert record.name == "tiny"
    assert record.config == {"name": "tiny", "seed": 3}
    assert record.table is not None
    assert [row.attack for row in record.table.rows] == [row.attack for row in paper_table().rows]
    assert record.conversion == small_report()
    assert set(record.rasters) == {"before", "after"}
    assert record.dose == 0.1
    assert record.trainings[0].name == "awake: fc-vae"
    assert record.trainings[0].losses == (2.0, 1.0)


def test_weights_are_paired_in_the_order_of_the_network(run_folder: Path) -> None:
    changes = load_record(run_folder).weights
    assert [change.name for change in changes] == ["encoder.1", "encoder.3", "encoder.10"]
    assert changes[0].relative == pytest.approx(1.0)
    assert changes[0].flipped == 0.0


def test_naps_are_read_in_order_finished_or_not(run_folder: Path) -> None:
    first, last = load_record(run_folder).naps
    assert first.verdict is None
    assert first.doses[LAYERS[0]] == pytest.approx(0.12)
    assert first.reached == LAYERS[:1]
    assert last.verdict == small_diary().verdict
    assert last.num_images == 192


def test_classifier_judges_the_images(run_folder: Path) -> None:
    strips = load_record(run_folder).strips
    assert [strip.title for strip in strips] == [
        "no attack",
        "FGSM 0.3, aimed at the classifier alone",
        "FGSM 0.3, through purifier and classifier",
    ]
    assert [row.title for row in strips[1].rows] == ["clean", "attacked", "purified", "purified after sleep"]
    assert len(strips[2].rows) == 5
    for strip in strips:
        for row in strip.rows:
            assert row.images.shape == (2, 1, 8, 8)
            assert row.predicted is not None
            assert row.predicted.shape == (2,)


def test_digests_are_those_of_the_files(run_folder: Path) -> None:
    files = {file.name: file for file in load_record(run_folder).files}
    assert files["awake.h5"].digest == file_digest(run_folder / "awake.h5")
    assert files["awake.h5"].kind == "awake"
    assert files["awake.h5"].provenance["command"] == "sleepdefense run --out run"


@pytest.mark.parametrize(
    "name", ["config.json", "conversion.json", "results.h5", "samples.h5", "sleep.h5", "slept.h5", "awake.h5"]
)
@pytest.mark.parametrize("content", [None, b"{}", b"garbage"], ids=["gone", "object", "garbage"])
def test_missing_or_damaged_file_is_named(run_folder: Path, name: str, content: bytes | None) -> None:
    if content is None:
        (run_folder / name).unlink()
    else:
        (run_folder / name).write_bytes(content)
    record = load_record(run_folder)
    assert isinstance(record, RunRecord)
    if (name, content) != ("config.json", b"{}"):
        assert name in record.absent
    assert str(run_folder) not in " ".join(record.absent.values())


def test_half_finished_run_has_a_page(run_folder: Path) -> None:
    for path in run_folder.iterdir():
        if path.name not in ("config.json", "classifier.h5", "awake.training.h5"):
            path.unlink()
    record = load_record(run_folder)
    assert set(record.absent) >= {"awake.h5", "results.h5", "sleep.h5"}
    assert "No evaluation yet" in render_page(record)


def test_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no file of a run: expected some of config"):
        load_record(tmp_path)
    with pytest.raises(CheckpointError, match="there is no folder"):
        load_record(tmp_path / "absent")


def test_slept_classifier_is_shown_before_and_after(run_folder: Path) -> None:
    (run_folder / "classifier.h5").unlink()
    for name, seed in (("awake", 1), ("woken", 2)):
        model = build_model("c4", {"hidden": 4, "size": 8}, seed=seed)
        save_checkpoint(run_folder / f"{name}.h5", awake_checkpoint(model, provenance={}))
    record = load_record(run_folder)
    assert "classifier.h5" not in record.absent
    titles = [row.title for row in record.strips[1].rows]
    assert titles[-1] == "the same, seen after sleep"
    assert all(np.isin(row.predicted, range(10)).all() for row in record.strips[1].rows)
