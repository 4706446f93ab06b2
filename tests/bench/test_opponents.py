"""A comparison is honest if both sides do the same work: the same spikes and the same winners."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sleepdefense.bench.batched_conv import EXACT, ROUNDED
from sleepdefense.bench.goals import GOALS
from sleepdefense.bench.opponent import Missing, Opponent, load_opponents
from sleepdefense.bench.ours import prepare_kernels
from sleepdefense.bench.snntorch_loop import SNNTORCH
from sleepdefense.bench.winners import A_MINUS, A_PLUS, choose_winners_, learn_
from sleepdefense.bench.workload import Workload, fire_only
from sleepdefense.errors import ConfigError
from sleepdefense.kernels import ChainLayer, select_winners

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
SCRIPTS = [BENCHMARKS / f"{name}.py" for name in ("bindsnet", "spikingjelly", "spyketorch")]


def named(opponent: Opponent) -> str:
    return f"{opponent.name}, {opponent.learning}"


@pytest.mark.parametrize("opponent", [*SNNTORCH, *EXACT], ids=named)
def test_opponents_fire_the_same_spikes(opponent: Opponent, workload: Workload) -> None:
    run = opponent.prepare(workload, True)
    ours = fire_only(workload, record=True)
    for _ in range(2):  # the second run begins where the first one began
        theirs = run()
        assert [np.array_equal(a, b) for a, b in zip(theirs.spikes, ours.spikes, strict=True)] == [True] * 3
    assert all(spikes.any() for spikes in ours.spikes)


@pytest.mark.parametrize("opponent", [each for each in SNNTORCH if each.learning == "image"], ids=named)
def test_opponents_choose_the_same_winners(opponent: Opponent, workload: Workload) -> None:
    theirs = opponent.prepare(workload, False)()
    ours = prepare_kernels(workload, "image", learns=True)()
    assert np.array_equal(theirs.winners, ours.winners)
    assert (ours.winners[:, :, 0] >= 0).any()
    assert theirs.spikes == ()


@pytest.mark.parametrize("opponent", ROUNDED, ids=named)
def test_bfloat16_fires_about_as_often(opponent: Opponent, workload: Workload) -> None:
    theirs, ours = opponent.prepare(workload, True)(), fire_only(workload, record=True)
    for a, b in zip(theirs.spikes, ours.spikes, strict=True):
        assert a.shape == b.shape
        assert np.mean(a != b) < 0.05  # a tenth of the neurons fire


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(0, 2))
def test_winners_in_numpy_are_those_of_the_kernel(seed: int, k: int, radius: int) -> None:
    generator = np.random.default_rng(seed)
    first = generator.integers(0, 6, (4, 3, 5)).astype(np.int32)  # 5: silent; ties are frequent
    potential = generator.integers(1, 4, first.shape).astype(np.int64)
    score = np.where(first < 5, potential - first * 10.0, -np.inf)
    expected = select_winners(first, potential, num_steps=5, k=k, radius=radius)
    assert choose_winners_(score, k=k, radius=radius) == [tuple(row[:3]) for row in expected.tolist()]


def test_the_rule_by_hand() -> None:
    weight = np.full((1, 1, 2, 2), 0.5, dtype=np.float32)
    layer = ChainLayer(np.ones((1, 1, 2, 2), dtype=np.int32), np.zeros(1, dtype=np.int32), 1, 2, 1)
    seen = np.array([[[3, 9], [9, 9]]], dtype=np.int32)
    learn_(weight, [(0, 0, 0)], [3], seen, layer)  # the field's last pixel is the image's first
    down, up = 0.5 + A_MINUS * 0.25, 0.5 + A_PLUS * 0.25
    np.testing.assert_allclose(weight[0, 0], [[down, down], [down, up]], rtol=1e-6)


def test_goals_that_opponents_name_are_there() -> None:
    assert {each.goal for each in SNNTORCH} <= set(GOALS)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_scripts_are_opponents_or_say_what_they_need(path: Path, workload: Workload) -> None:
    found = load_opponents(path)
    if isinstance(found, Missing):
        pytest.skip(found.why)
    for each in found:
        with torch.inference_mode():
            outcome = each.prepare(workload, True)()
        ours = prepare_kernels(workload, "image", learns=True)()
        if outcome.spikes:  # of the first image: its weights have not changed yet
            record = fire_only(workload, record=True)
            for a, b in zip(outcome.spikes, record.spikes, strict=True):
                assert np.array_equal(a[:, 0], b[:, 0])
        if len(outcome.winners):
            assert np.array_equal(outcome.winners[0], ours.winners[0])


def test_a_file_without_its_library_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "other.py"
    path.write_text("import no_such_library_at_all\n")
    assert load_opponents(path) == Missing("other", "No module named 'no_such_library_at_all'")


@pytest.mark.parametrize("text", ["", "OPPONENTS = 3", "OPPONENTS = (3,)"])
def test_a_file_without_opponents_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "other.py"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"other\.py' defines no tuple OPPONENTS"):
        load_opponents(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no Python file"):
        load_opponents(tmp_path / "none.py")


def test_opponents_do_not_change_the_workload(workload: Workload) -> None:
    before = [layer.weight.copy() for layer in workload.layers]
    for opponent in SNNTORCH:
        opponent.prepare(workload, False)()
    assert all(np.array_equal(a, b.weight) for a, b in zip(before, workload.layers, strict=True))
