import csv
import io
import json
import math

import numpy as np
import pytest

from sleepdefense.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from sleepdefense.errors import CheckpointError, EvaluationError
from sleepdefense.evaluation import load_results, save_results
from sleepdefense.evaluation.results import Judged, make_table

LABELS = np.array([0, 1, 2, 3], np.int32)


def judged(
    system, attack, predicted, *, norm="Linf", threat_model="white-box", status="ok", moved=0.3, epsilon=0.3
):
    description = {
        "system": system,
        "attack": attack,
        "key": attack,
        "spec": "" if attack == "clean" else attack,
        "norm": "none" if attack == "clean" else norm,
        "epsilon": None if attack == "clean" else epsilon,
        "threat_model": "none" if attack == "clean" else threat_model,
        "status": status,
    }
    return Judged(
        description=description,
        predicted=np.array(predicted, np.int32),
        moved=np.full(4, moved),
        sample_images=np.full((2, 1, 2, 2), 0.5, np.float32),
    )


@pytest.fixture
def table():
    """Two systems: "s" is wrong about its last image, and one attack on it could not be run."""
    return make_table(
        [
            judged("s", "clean", [0, 1, 2, 0]),
            judged("s", "A", [1, 1, 2, 3], moved=0.3),
            judged("s", "B", [0, 0, 2, 3], moved=0.2),
            judged("s", "C", [0, 1, 0, 0], norm="L2", moved=1.5, epsilon=1.5),
            judged("s", "D", [-1] * 4, norm="L2", status="error: it broke"),
            judged("s", "A", [0, 1, 2, 0], threat_model="oblivious"),
            judged("t_1", "clean", [0, 1, 2, 3]),
            judged("t_1", "A", [0, 1, 2, 3]),
        ],
        LABELS,
        provenance={"data": "toy/test", "seed": 4, "versions": {"torch": "2"}},
        note="4 of 400 images",
    )


def test_rows_are_counted(table):
    row = table.row("s", "A", "white-box")
    assert (row.n, row.correct, row.accuracy) == (4, 2, 0.5)
    assert 0 < row.lower < 0.5 < row.upper < 1
    # image 0 falls, 1 and 2 stand, 3 is wrong anyway although the attack happened to right it
    assert table.distance[1].tolist() == [0.3, math.inf, math.inf, 0.0]
    assert row.median_distance == math.inf
    assert table.row("s", "C").median_distance == math.inf
    assert table.row("s", "D").is_error
    assert table.standing(1).tolist() == [False, True, True, False]
    assert table.standing(0).tolist() == [True, True, True, False]


def test_what_was_moved_too_far_stands():
    """A search that leaves the budget counts as failed, and its distance is kept."""
    rows = [judged("s", "clean", [0, 1, 2, 3]), judged("s", "A", [1, 1, 2, 0], moved=0.31)]
    rows += [judged("s", "B", [1, 1, 2, 0], moved=0.3 * (1 + 1e-6))]
    rows += [judged("s", "C", [1, 1, 2, 0], moved=9.0, epsilon=None)]
    table = make_table(rows, LABELS, provenance={}, note="")
    assert [row.correct for row in table.rows] == [4, 4, 2, 2]
    assert table.distance[1].tolist() == [0.31, math.inf, math.inf, 0.31]
    (at_its_own,) = table.worst_case("white-box")
    (wide,) = table.worst_case("white-box", epsilon=0.31)
    (narrow,) = table.worst_case("white-box", epsilon=0.2)
    assert (at_its_own.correct, wide.correct, narrow.correct) == (2, 2, 4)


def test_a_corruption_counts_what_is_right():
    """It is no attack: it may put right what was wrong."""
    rows = [judged("s", "clean", [0, 1, 2, 0]), judged("s", "A", [0, 0, 2, 3], norm="none")]
    table = make_table(rows, LABELS, provenance={}, note="")
    assert table.rows[1].correct == 3
    assert table.standing(1).tolist() == [True, False, True, True]


def test_a_cascade_counts_the_rows_above():
    rows = [judged("s", "clean", [0, 1, 2, 3]), judged("s", "A", [1, 1, 2, 3], moved=0.2)]
    rows += [judged("s", "B", [-2, 0, 2, 3]), judged("s", "C", [0, 1, 2, 0], norm="L2")]
    rows += [judged("s", "D", [-1] * 4, status="error: no"), judged("s", "E", [-2, -2, 0, 3])]
    table = make_table(rows, LABELS, provenance={"cascade": True}, note="")
    assert [row.correct for row in table.rows] == [4, 3, 2, 3, 0, 1]
    assert table.distance[5].tolist() == [0.2, 0.3, 0.3, math.inf]
    assert "each row counts the attacks of its norm above it too" in table.title


def test_all_attacks_of_a_norm_are_taken_together(table):
    lines = {(line.system, line.norm): line for line in table.worst_case("all")}
    assert lines["s", "Linf"].attacks == ("A", "B", "A")
    assert lines["s", "L2"].left_out == ("D",)


def test_a_broken_clean_row_leaves_no_distances():
    table = make_table(
        [judged("s", "clean", [-1] * 4, status="error: no"), judged("s", "A", [0, 1, 2, 0])],
        LABELS,
        provenance={},
        note="",
    )
    assert table.rows[1].accuracy == 0.75
    assert math.isnan(table.rows[1].median_distance)


def test_worst_case_is_taken_image_by_image(table):
    linf, l2, other = table.worst_case("white-box")
    # image 0 falls to A, 1 to B, 3 is wrong without an attack: only 2 stands
    assert (linf.system, linf.norm, linf.attacks, linf.left_out) == ("s", "Linf", ("A", "B"), ())
    assert (linf.n, linf.correct, linf.accuracy) == (4, 1, 0.25)
    assert linf.median_distance == pytest.approx(0.25)  # of 0, .2, .3, infinity
    assert (l2.norm, l2.attacks, l2.left_out, l2.correct) == ("L2", ("C",), ("D",), 2)
    assert (other.system, other.accuracy) == ("t_1", 1.0)
    assert table.worst_case("adaptive") == ()


def test_a_worst_case_of_failed_attacks_is_unknown():
    table = make_table(
        [judged("s", "clean", [0, 1, 2, 3]), judged("s", "A", [-1] * 4, status="error: no")],
        LABELS,
        provenance={},
        note="",
    )
    (line,) = table.worst_case("white-box")
    assert (line.n, line.left_out) == (0, ("A",))
    assert math.isnan(line.accuracy)


def test_rows_are_found_by_name(table):
    assert table.number("t_1", "A") == 7
    with pytest.raises(EvaluationError, match="2 rows fit 's' / 'A'; there are 's' / 'clean' / 'none'"):
        table.number("s", "A")
    with pytest.raises(EvaluationError, match="no row fits 's' / 'Z' / 'oblivious'"):
        table.row("s", "Z", "oblivious")


def test_results_come_back_from_disk(table, tmp_path):
    path = tmp_path / "results.h5"
    digest = save_results(path, table)
    loaded = load_results(path)
    assert loaded.rows[:4] == table.rows[:4]
    assert loaded.rows[5:] == table.rows[5:]
    assert str(loaded) == str(table)
    assert math.isnan(loaded.rows[4].accuracy)
    for name in ("labels", "predicted", "distance", "sample_images"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(table, name))
    assert (loaded.provenance, loaded.note, loaded.title) == (table.provenance, table.note, table.title)
    assert save_results(tmp_path / "again.h5", loaded) == digest
    with pytest.raises(CheckpointError, match="exists already"):
        save_results(path, table, force=False)


def test_the_summary_has_numbers_intervals_and_origin(table, tmp_path):
    save_results(tmp_path / "results.h5", table)
    summary = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert summary["title"] == "Robustness on 4 images of 'toy/test', seed 4; 4 of 400 images"
    assert summary["provenance"]["versions"] == {"torch": "2"}
    first = summary["rows"][1]
    assert (first["n"], first["accuracy"], first["threat_model"]) == (4, 0.5, "white-box")
    assert isinstance(first["lower"], float)
    assert first["median_distance"] is None
    assert summary["rows"][4]["accuracy"] is None
    assert [line["accuracy"] for line in summary["worst_case"]] == [0.25, 0.5, 1.0, 0.75]


@pytest.mark.parametrize("damage", ["rows", "note", "labels", "predicted", "sample_images"])
def test_a_file_that_is_no_table_is_named(damage, table, tmp_path):
    path = tmp_path / "results.h5"
    save_results(path, table)
    good = load_checkpoint(path)
    settings = {name: value for name, value in good.settings.items() if name != damage}
    arrays = {name: value for name, value in good.arrays.items() if name != damage}
    save_checkpoint(
        path, Checkpoint(kind="results", arrays=arrays, settings=settings, provenance=good.provenance)
    )
    with pytest.raises(CheckpointError, match=f"'{path}' is no table of results: .*{damage}"):
        load_results(path)


def test_arrays_that_do_not_fit_are_named(table, tmp_path):
    path = tmp_path / "results.h5"
    save_results(path, table)
    good = load_checkpoint(path)
    good.arrays["predicted"] = good.arrays["predicted"][:, :2]
    save_checkpoint(path, good)
    with pytest.raises(CheckpointError, match="its arrays do not fit its 8 rows"):
        load_results(path)


def test_text_is_aligned(table):
    lines = str(table).splitlines()
    assert lines[0] == table.title
    assert lines[1].split()[:2] == ["system", "attack"]
    assert lines[4].split("  ")[0] == "s"
    assert " ".join(lines[4].split()) == "s A white-box 4 50.00 % 15.0 - 85.0 inf Linf ok"
    assert " ".join(lines[7].split()) == "s D white-box 0 - - - error: it broke"
    assert " ".join(lines[3].split()) == "s clean none 4 75.00 % 30.1 - 95.4 - ok"
    assert lines[3 + len(table.rows)] == ""
    assert lines[4 + len(table.rows)] == "All attacks of a norm together, image by image"


def test_markdown(table):
    lines = table.markdown().splitlines()
    assert lines[0] == table.title
    assert lines[2].startswith("| system | attack | threat model | n | accuracy |")
    assert lines[5] == "| s | A | white-box | 4 | 50.00 % | 15.0 - 85.0 | inf Linf | ok |"
    assert {line.count("|") for line in lines[2:]} == {9, 0}
    assert "| s | Linf | 3 | 4 | 25.00 % | 4.6 - 69.9 | 0.25 | - |" in lines
    assert "| s | L2 | 1 | 4 | 50.00 % | 15.0 - 85.0 | inf | D |" in lines
    assert "| s | any norm | 4 | 4 | 0.00 % | 0.0 - 49.0 | - | D |" in lines


def test_csv_has_every_field_in_full(table):
    rows = list(csv.DictReader(io.StringIO(table.csv())))
    assert len(rows) == len(table.rows)
    assert float(rows[1]["lower"]) == table.rows[1].lower
    assert (rows[4]["accuracy"], rows[4]["status"]) == ("", "error: it broke")
    assert (rows[0]["epsilon"], rows[1]["epsilon"]) == ("", "0.3")


def test_latex_is_escaped(table):
    text = table.latex()
    assert r"\caption{Robustness on 4 images of 'toy/test', seed 4; 4 of 400 images}" in text
    assert r"t\_1 & A & white-box & 4 & 100.00 \% & 51.0 - 100.0 & inf Linf & ok \\" in text
    assert text.count(r"\\") == 1 + len(table.rows)
