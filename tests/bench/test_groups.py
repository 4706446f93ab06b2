"""What each group reports, on a tiny workload; how fast anything is, is nobody's business here."""

import time
from dataclasses import replace

import numpy as np
import pytest

from sleepdefense.bench.goals import GOALS, Row
from sleepdefense.bench.learning import measure_learning
from sleepdefense.bench.opponent import NO_WINNERS, Missing, Opponent, Outcome, Run
from sleepdefense.bench.rates import sweep
from sleepdefense.bench.scaling import vary_steps
from sleepdefense.bench.threads import _Run, add_thread
from sleepdefense.bench.versus import compare
from sleepdefense.bench.workload import WEIGHT_TYPES, Workload, calibrated


def rows_by_figure(rows: list[Row]) -> dict[str, Row]:
    found = {row.figure: row for row in rows}
    assert len(found) == len(rows)
    return found


def lazy(workload: Workload, record: bool) -> Run:
    return lambda: Outcome(NO_WINNERS)


def test_opponents_are_compared_with_what_they_do(workload: Workload) -> None:
    given: list[Workload] = []

    def prepare(part: Workload, record: bool) -> Run:
        given.append(part)
        return lambda: Outcome(NO_WINNERS)

    others = [
        Opponent(name="quick one", learning="image", prepare=lazy, goal="spyketorch", note="idle"),
        Opponent(name="small one", learning="none", prepare=prepare, num_images=2, num_steps=5),
        Missing("other", "No module named 'other'"),
    ]
    told: list[str] = []
    rows = compare(
        workload, others, repeats=2, rounds=1, progress=lambda done, total, text: told.append(text)
    )
    found = rows_by_figure(rows)
    for key in ("spyketorch", "snntorch-image", "snntorch-step"):
        assert found[GOALS[key].figure].value > 0
    assert found[GOALS["spyketorch"].figure].note == "quick one; idle"
    assert found["other"].note == "skipped: No module named 'other'"
    assert [(len(part.images), part.num_steps) for part in given] == [(2, 5)]
    ours = found["ours, winners per image: an image and step"].value
    theirs = found["quick one, image: an image and step"].value
    assert found["against quick one, image"].value == pytest.approx(theirs / ours)
    assert "small one, no learning" in told


@pytest.mark.long  # compiles the kernels for three types of weights
def test_the_sweep_has_every_rate_and_type(workload: Workload) -> None:

    coarse = replace(
        workload,
        unit=2**9,
        layers=tuple(
            layer._replace(weight=(layer.weight // 16).astype(np.int32)) for layer in workload.layers
        ),
    )
    at = {(rate, unit): made for unit, made in ((2**13, workload), (2**9, coarse)) for rate in (0.05, 0.1)}
    workloads = {(rate, unit): calibrated(made, rate) for (rate, unit), made in at.items()}
    found = rows_by_figure(sweep(workloads, repeats=2, rounds=1, progress=None))
    for rate in ("5", "10"):
        for weight_type in WEIGHT_TYPES:
            row = found[f"{weight_type} at {rate} %: an image and step"]
            assert row.value > 0
            assert "M operations" in row.note
    assert found[GOALS["conv-5"].figure].note.startswith("convolution fp32")
    assert GOALS["conv-30"].figure not in found
    dense = [figure for figure in found if figure.startswith("convolution")]
    assert len(dense) == 8
    assert all("at 5 %" in figure for figure in dense)


def test_learning_is_told_with_and_without_changing_weights(workload: Workload) -> None:
    found = rows_by_figure(measure_learning(workload, repeats=2, rounds=1, progress=None))
    assert found[GOALS["learning-image"].figure].note == "batch of 6 images x 24 steps"
    assert found["the same without changing weights, per step"].unit == "%"
    assert GOALS["learning-step"].figure in found


def test_trains_of_all_lengths(workload: Workload) -> None:
    found = rows_by_figure(vary_steps(workload.part(1), rounds=1, progress=None))
    times = [found[f"{length} steps: an operation"].value for length in (25, 50, 100, 200, 400)]
    mean = sum(times) / 5
    worst = max(abs(time / mean - 1) for time in times)
    assert found[GOALS["flat"].figure].value == pytest.approx(100 * worst)


def test_a_second_thread_is_judged_or_not(workload: Workload) -> None:
    row, *others = add_thread(workload, repeats=2, rounds=1, progress=None)
    assert row.figure == GOALS["threads"].figure
    assert (row.value is None) == ("one core" in row.note)
    assert (row.met is None) == ("not" in row.note)
    assert (others == []) == (row.value is None)
    assert all(other.value >= 0 for other in others)
    controls = [other.figure for other in others if other.figure.startswith("control")]
    assert len(controls) == (3 if others else 0)


def test_a_run_keeps_both_clocks_of_its_fastest_round() -> None:
    lengths = iter([0.2, 0.001, 0.1])
    run = _Run(lambda: time.sleep(next(lengths)))
    for _ in range(3):
        run()
    assert 0.001 <= run.wall < 0.1
    assert run.busy < 0.1
