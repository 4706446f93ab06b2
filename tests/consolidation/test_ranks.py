"""Several processes sleep as one does: real ones, on the loopback."""

import contextlib
import io
from pathlib import Path

import pytest
from several_processes import launch, start
from shared_sleep import SLEEPS, share

from sleepdefense.consolidation.ranks import Ranks, joined_ranks
from sleepdefense.errors import SleepError

SCRIPT = str(Path(__file__).resolve().parent.parent / "shared_sleep.py")


def assert_shared_as_alone(tmp_path, names, count):
    alone, together = tmp_path / "alone", tmp_path / "together"
    alone.mkdir()
    together.mkdir()
    with contextlib.redirect_stdout(io.StringIO()) as told:
        share(alone, names)
    said = launch(count, SCRIPT, str(together), *names, timeout=300)
    assert said == [told.getvalue(), *[""] * (count - 1)]
    for word in ("told", "measured", "guarded"):
        assert word in said[0]
    for name in names:
        assert (together / f"{name}.h5").read_bytes() == (alone / f"{name}.h5").read_bytes()
        for rank in range(count):
            found = (together / f"{name}.{rank}.npz").read_bytes()
            assert found == (alone / f"{name}.0.npz").read_bytes(), (name, rank)
    assert len(list(together.iterdir())) == len(names) * (1 + count)


def test_two_processes_sleep_as_one(tmp_path):
    assert_shared_as_alone(tmp_path, ["torch"], 2)


@pytest.mark.long  # several interpreters load torch and compile
@pytest.mark.parametrize("count", [2, 4])
def test_processes_sleep_as_one_with_every_engine_and_competition(tmp_path, count):
    assert_shared_as_alone(tmp_path, list(SLEEPS), count)


RANK_1 = """
import os, sys
from pathlib import Path
import shared_sleep
from sleepdefense.consolidation.ranked_engine import RankedEngine

folder, is_other = Path(sys.argv[1]), os.environ["RANK"] == "1"
"""
WRONG_SETTING = """
shared_sleep.SLEEPS["torch"]["k"] = 2 if is_other else 1
"""
LOST = """
present, presented = RankedEngine.present, []

def lose(self, *arguments):
    presented.append(arguments)
    if is_other and len(presented) == 7:
        os._exit(3)
    return present(self, *arguments)

RankedEngine.present = lose
"""
SHARE = """
shared_sleep.share(folder, ["torch"])
"""


@pytest.mark.long  # two interpreters load torch
def test_processes_with_other_settings_are_told(tmp_path):
    said = start(2, "-c", RANK_1 + WRONG_SETTING + SHARE, str(tmp_path))
    assert [status for status, _ in said] == [1, 1]
    assert all("process 1 of 2 sleeps with another config than process 0" in text for _, text in said)
    assert not list(tmp_path.iterdir())


@pytest.mark.long  # two interpreters load torch
def test_an_error_of_the_main_process_is_that_of_all(tmp_path):
    (tmp_path / "torch.h5").touch()
    said = start(2, "-c", RANK_1 + SHARE, str(tmp_path))
    assert [status for status, _ in said] == [1, 1]
    assert all("ConfigError: '" in text and "torch.h5' exists" in text for _, text in said)


@pytest.mark.long  # two interpreters load torch
def test_a_lost_process_costs_nothing_but_time(tmp_path):
    lost, alone = tmp_path / "lost", tmp_path / "alone"
    lost.mkdir()
    alone.mkdir()
    (main, text), (other, _) = start(2, "-c", RANK_1 + LOST + SHARE, str(lost))
    assert (main, other) == (1, 3)
    assert "SleepError: another process of this sleep is gone" in text
    share(alone, ["torch"])
    assert (lost / "torch.h5").read_bytes() != (alone / "torch.h5").read_bytes()
    share(lost, ["torch"], resume=True)
    assert (lost / "torch.h5").read_bytes() == (alone / "torch.h5").read_bytes()


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("length", [0, 1, 2, 5, 64])
def test_every_image_is_shared_out_once(length, count):
    shares = [Ranks(count=count, rank=rank).share(length) for rank in range(count)]
    images = list(range(length))
    assert [image for share in shares for image in images[share]] == images
    sizes = [share.stop - share.start for share in shares]
    assert max(sizes) - min(sizes) <= 1


def test_processes_of_a_machine_share_its_cores(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 12)
    assert Ranks().threads() is None
    assert Ranks(count=4, rank=1).threads() == 3
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert Ranks(count=4, rank=1).threads() == 6
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "100")
    assert Ranks(count=100).threads() == 1


def test_one_process_needs_nobody(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with joined_ranks() as ranks:
        assert ranks == Ranks()
        assert ranks.is_main
        assert ranks.on_main(lambda: 5) == 5
        with pytest.raises(SleepError, match="mine"):
            ranks.on_main(fail)
    monkeypatch.setenv("WORLD_SIZE", "8")  # of another tool, without the rest
    with joined_ranks() as ranks:
        assert ranks.count == 1


def fail():
    raise SleepError("mine")
