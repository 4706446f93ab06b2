"""Taking times that can be compared: contestants take turns, and the fastest round counts."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch

Progress = Callable[[int, int, str], None]
"""Called with what is done, what there is, and a text."""


def time_in_turns(
    contestants: Mapping[str, Callable[[], object]],
    *,
    rounds: int,
    clock: Callable[[], float] = time.thread_time,
    progress: Progress | None = None,
) -> dict[str, float]:
    """Let all contestants run once unmeasured, then in so many rounds, one after the other.

    A machine that is slow for a while is so for all of them, and noise only ever adds: so the minimum is
    what is compared.

    Args:
        contestants: Name -> what to run.
        rounds: Measured runs of each, >= 1.
        clock: In seconds; by default CPU seconds of this thread, which others cannot lengthen much.
        progress: Told before every run.

    Returns:
        Name -> seconds of its fastest run.
    """
    best = dict.fromkeys(contestants, float("inf"))
    for number in range(rounds + 1):
        for place, (name, run) in enumerate(contestants.items()):
            if progress is not None:
                progress(number * len(contestants) + place, (rounds + 1) * len(contestants), name)
            begin = clock()
            run()
            seconds = clock() - begin
            if number > 0:
                best[name] = min(best[name], seconds)
    return best


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Keep torch on one thread, and without gradients."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            yield
    finally:
        torch.set_num_threads(before)
