"""What every step is told besides its own settings."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

Progress = Callable[[int, int, str], None]
"""Called with how much is done, of how much, and what."""


ARITHMETIC_THREADS = 2
"""Threads that torch sums with. How a sum is split decides its last bit, so this is a constant: results must
not depend on how many cores a machine has."""


@contextmanager
def fixed_arithmetic() -> Iterator[None]:
    """Let torch compute with the same number of threads on every machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(ARITHMETIC_THREADS)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _silent(done: int, total: int, text: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """How a step runs, without influence on what it computes.

    Attributes:
        command: What the user ran, without the switches that only say how.
        resume: Go on where an earlier run stopped.
        force: Overwrite what is there.
        device: "auto", "cpu" or "cuda".
        threads: Threads of the sleep kernels, whose integers add up the same in any order; None: one a core.
        progress: Told how far a step is.
    """

    command: str = "python"
    resume: bool = False
    force: bool = False
    device: str = "cpu"
    threads: int | None = None
    progress: Progress = field(default=_silent)
