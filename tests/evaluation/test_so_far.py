"""What an evaluation has finished until now."""

from pathlib import Path

import numpy as np
import pytest
from quadrants import Quadrants, make_images

from sleepdefense.checkpoint import load_checkpoint, save_checkpoint
from sleepdefense.errors import EvaluationError
from sleepdefense.evaluation import evaluate_systems, results_so_far

DATA = make_images(12, seed=3)
ATTACKS = "FGSM:0.2,L2:BIM(steps=3)"


def run(path: Path, *, cells: int | None = None, model=None) -> None:
    """Evaluate in batches of 5, and be interrupted after some cells."""

    def stop(done: int, total: int, text: str) -> None:
        if done == cells:
            raise KeyboardInterrupt

    systems = {"q": Quadrants().eval() if model is None else model}
    options = {"checks": False, "batch_size": 5, "resume": path, "progress": stop}
    if cells is None:
        evaluate_systems(systems, DATA, ATTACKS, **options)
        return
    with pytest.raises(KeyboardInterrupt):
        evaluate_systems(systems, DATA, ATTACKS, **options)


def so_far(path: Path, **changes):
    options = {"checks": False, "batch_size": 5, "resume": path, **changes}
    return results_so_far({"q": Quadrants().eval()}, DATA, ATTACKS, **options)


def test_finished_batches_count_and_nothing_is_touched(tmp_path: Path) -> None:
    path = tmp_path / "r.h5"
    run(path, cells=5)  # three cells of clean images, two of the first attack
    before = {each: each.read_bytes() for each in sorted(tmp_path.rglob("*")) if each.is_file()}
    table = so_far(path)
    assert [row.n for row in table.rows] == [12, 10, 0]
    assert [row.status for row in table.rows] == [
        "ok",
        "unfinished: 10 of 12 images",
        "unfinished: 0 of 12 images",
    ]
    assert {each: each.read_bytes() for each in sorted(tmp_path.rglob("*")) if each.is_file()} == before
    run(path)
    whole = so_far(path)
    assert [row.n for row in whole.rows] == [12, 12, 12]
    np.testing.assert_array_equal(table.distance[:2, :10], whole.distance[:2, :10])
    assert table.rows[1].correct == int(whole.standing(1)[:10].sum())


def test_files_of_before_winners_were_kept_are_still_read(tmp_path: Path) -> None:
    path = tmp_path / "r.h5"
    run(path, cells=5)
    for part in (tmp_path / "r.h5.parts").iterdir():
        checkpoint = load_checkpoint(part)
        del checkpoint.arrays["winner"]
        save_checkpoint(part, checkpoint, force=True)
    assert [row.n for row in so_far(path).rows] == [12, 10, 0]


def test_nothing_finished_and_other_work_are_told(tmp_path: Path) -> None:
    path = tmp_path / "r.h5"
    with pytest.raises(EvaluationError, match=r"nothing of .* is finished"):
        so_far(path)
    run(path, cells=4)
    with pytest.raises(EvaluationError, match="holds results of other work"):
        so_far(path, seed=1)


def test_an_attack_may_join_and_what_is_finished_stays(tmp_path: Path) -> None:
    path, model = tmp_path / "r.h5", Quadrants().eval()
    run(path, cells=6)  # the clean images and the first attack
    asked = []

    def progress(done: int, total: int, text: str) -> None:
        asked.append(text)

    attacks = "L2:FGM,FGSM:0.2,L2:BIM(steps=4)"
    options = {"batch_size": 5, "seed": 0}
    joined = evaluate_systems({"q": model}, DATA, attacks, resume=path, progress=progress, **options)
    assert not any(text.startswith("FGSM 0.2") for text in asked)
    whole = evaluate_systems({"q": model}, DATA, attacks, **options)
    assert joined.csv() == whole.csv()
    np.testing.assert_array_equal(joined.distance, whole.distance)


def test_in_a_cascade_earlier_attacks_count(tmp_path: Path) -> None:
    def stop(done: int, total: int, text: str) -> None:
        if done == 8:  # two batches of the second attack
            raise KeyboardInterrupt

    path, systems = tmp_path / "r.h5", {"q": Quadrants().eval()}
    options = {"checks": False, "batch_size": 5, "cascade": True}
    with pytest.raises(KeyboardInterrupt):
        evaluate_systems(systems, DATA, "FGSM:0.2,BIM:0.2", resume=path, progress=stop, **options)
    with pytest.raises(EvaluationError, match="other attacks"):
        evaluate_systems(systems, DATA, "FGSM:0.1,BIM:0.2", resume=path, **options)
    later = evaluate_systems(systems, DATA, "FGSM:0.2,BIM:0.2,PGD:0.2", resume=path, **options)
    assert later.csv() == evaluate_systems(systems, DATA, "FGSM:0.2,BIM:0.2,PGD:0.2", **options).csv()
