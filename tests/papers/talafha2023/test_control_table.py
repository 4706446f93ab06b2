"""What the sleep and its controls change, over the same images."""

from pathlib import Path

import numpy as np
import pytest

from sleepdefense.papers import Job
from sleepdefense.papers.scores import Score, Scores
from sleepdefense.papers.talafha2023.control_table import control_table
from sleepdefense.pipeline import Context

RIGHT = {
    "Defense-VAE": 80,
    "Our model": 70,
    "Our model: shuffled": 80,
    "Our model: anti": 90,
    "E2E before sleep": 50,
    "Our model (E2E)": 50,
    "Our model (E2E): shuffled": 50,
    "Our model (E2E): anti": 50,
}
"""Images of a hundred, the first so many."""


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(folder=tmp_path, scale="smoke", dataset="digits", seeds=(0,), context=Context())


def scores(*cells: tuple[str, str]) -> Scores:
    return Scores(
        {
            (target, attack, system): Score((np.arange(100) < right,))
            for target, attack in cells
            for system, right in RIGHT.items()
        }
    )


def test_a_row_holds_what_each_system_changes_over_the_same_images(job: Job) -> None:
    table = control_table(job, {"oblivious": scores(("C1", "FGSM"))}, name="t", corner="attack")
    row = "C1 FGSM, oblivious"
    assert table.rows == (row,)
    assert table.measured[row, "Defense-VAE"].values == (80.0,)
    points = {column: table.measured[row, column].values for column in table.columns if ":" in column}
    assert points == {
        "Our model: sleep": (-10.0,),
        "Our model: shuffled": (0.0,),
        "Our model: anti": (10.0,),
        "Our model (E2E): sleep": (0.0,),
        "Our model (E2E): shuffled": (0.0,),
        "Our model (E2E): anti": (0.0,),
    }
    # by Bonett and Price: (1 - 11) / 102, and 1.96 times the root of 1 + 11 - 100 / 102, over 102
    assert table.measured[row, "Our model: sleep"].status == "-16.2 to -3.4"


def test_clean_images_stand_once_and_what_was_not_run_is_left_out(job: Job) -> None:
    both = {"oblivious": scores(("C2", "clean"), ("C1", "CW")), "white-box": scores(("C2", "clean"))}
    assert control_table(job, both, name="t", corner="attack").rows == ("C2 clean", "C1 CW, oblivious")


def test_substitutes_may_stand_where_attacks_do(job: Job) -> None:
    found = {"black-box": scores(("C1", "clean, C1"), ("C1", "C4"), ("C3", "C1"))}
    table = control_table(job, found, name="t", corner="", attacks=("C1", "C4"), clean="clean, C1")
    assert table.rows == ("C1 clean", "C3 C1, black-box", "C1 C4, black-box")
