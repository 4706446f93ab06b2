"""An evaluation alone has a page too."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from report_samples import attacked, clean, evaluation_table, finding, table_of

from sleepdefense.errors import CheckpointError
from sleepdefense.evaluation.files import save_results
from sleepdefense.report import RunRecord, load_record, render_page
from sleepdefense.report.evaluation_loading import evaluation_strips
from sleepdefense.report.images_section import images_section


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """What `sleepdefense eval --out` writes."""
    path = tmp_path / "cnn.h5"
    save_results(path, evaluation_table(finding("S1", "failed")))
    return path


def test_file_and_folder_are_the_same_evaluation(results: Path) -> None:
    for path in (results, results.parent):
        record = load_record(path)
        assert record.is_evaluation
        assert record.name == "cnn"
        assert record.table is not None
        assert [row.attack for row in record.table.rows] == [row.attack for row in evaluation_table().rows]
        assert record.table.findings[0].check == "S1"
        assert record.files[0].name == "cnn.h5"
        assert record.absent == {}


def test_folder_with_results_alone_is_an_evaluation(results: Path) -> None:
    results.rename(results.parent / "results.h5")
    (results.parent / "other.h5").write_text("not ours")
    assert load_record(results.parent).is_evaluation


def test_folder_of_a_run_is_no_evaluation(run_folder: Path) -> None:
    assert not load_record(run_folder).is_evaluation
    assert load_record(run_folder / "results.h5").is_evaluation


def test_page_has_what_an_evaluation_has(results: Path) -> None:
    page = render_page(load_record(results))
    assert [
        name for name in ("robustness", "images", "provenance", "weights", "diary") if f'id="{name}"' in page
    ] == [
        "robustness",
        "images",
        "provenance",
    ]
    assert "1 check failed: S1" in page
    assert 'class="missing"' not in page
    assert "Settings of the evaluation" in page


def test_seconds_are_read_where_they_are_known(results: Path) -> None:
    assert load_record(results).timings == {}
    timing = results.with_suffix(".timing.json")
    timing.write_text(json.dumps({"seconds": {"PGD 0.3, white-box": 1.5}}))
    assert load_record(results).timings == {"PGD 0.3, white-box": 1.5}
    timing.write_text("[]")
    assert load_record(results).timings == {}


@pytest.mark.parametrize("content", [b"", b"garbage"])
def test_damaged_file_is_refused(results: Path, content: bytes) -> None:
    results.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"cnn\.h5"):
        load_record(results)


def test_other_files_are_refused(results: Path, run_folder: Path) -> None:
    with pytest.raises(CheckpointError, match=r"is a summary: name the \.h5 file beside it"):
        load_record(results.with_suffix(".json"))
    with pytest.raises(CheckpointError, match="awake"):
        load_record(run_folder / "awake.h5")


def test_folder_of_several_evaluations_is_not_guessed_at(results: Path) -> None:
    shutil.copy(results, results.parent / "other.h5")
    with pytest.raises(CheckpointError, match="or name a file that 'sleepdefense eval --out' wrote"):
        load_record(results.parent)


def test_strips_show_the_first_images_norm_by_norm() -> None:
    strips = evaluation_strips(evaluation_table())
    assert [strip.title for strip in strips] == [
        "L2 attacks on 'cnn'",
        "Linf attacks on 'cnn'",
        "corruptions on 'cnn'",
    ]
    assert [row.title for row in strips[0].rows] == [
        "clean",
        "DDN 1.5, white-box",
        "DDN 1.5, adaptive",
        "ContrastReduction 1.5",
    ]
    assert strips[0].labels.tolist() == [0, 1]


def test_image_that_was_not_attacked_says_so() -> None:
    table = table_of(clean("x"), *attacked("x", "FGSM", "white-box"))
    spared = np.array(table.predicted)
    spared[1, 0] = -2
    table = replace(table, predicted=spared)
    html = images_section(RunRecord(strips=evaluation_strips(table)))
    assert html.count("<figcaption>spared</figcaption>") == 1
    assert "Spared: the image was not attacked" in html
