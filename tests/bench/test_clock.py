import itertools
from collections.abc import Callable

import pytest
import torch

from sleepdefense.bench.clock import one_torch_thread, time_in_turns


class FakeTime:
    """A clock that contestants set forward."""

    def __init__(self) -> None:
        self.now = 0.0
        self.order: list[str] = []

    def contestant(self, name: str, *seconds: float) -> Callable[[], None]:
        left = itertools.chain(seconds, itertools.repeat(seconds[-1]))

        def run() -> None:
            self.order.append(name)
            self.now += next(left)

        return run


def test_the_fastest_measured_round_counts_and_the_first_run_does_not() -> None:
    time = FakeTime()
    contestants = {"a": time.contestant("a", 0.1, 5.0, 3.0, 4.0), "b": time.contestant("b", 9.0, 2.0)}
    found = time_in_turns(contestants, rounds=3, clock=lambda: time.now)
    assert found == {"a": pytest.approx(3.0), "b": pytest.approx(2.0)}


def test_contestants_take_turns() -> None:
    time = FakeTime()
    told: list[tuple[int, int, str]] = []
    contestants = {name: time.contestant(name, 1.0) for name in "ab"}
    time_in_turns(contestants, rounds=2, clock=lambda: time.now, progress=lambda *args: told.append(args))
    assert time.order == list("ababab")
    assert told == [(i, 6, "ab"[i % 2]) for i in range(6)]


def test_torch_gets_its_threads_back() -> None:
    before = torch.get_num_threads()

    def interrupted() -> None:
        with one_torch_thread():
            assert torch.get_num_threads() == 1
            assert torch.is_inference_mode_enabled()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert torch.get_num_threads() == before
    assert not torch.is_inference_mode_enabled()
