"""What every step is told besides its own settings."""

from collections.abc import Callable
from dataclasses import dataclass, field

Progress = Callable[[int, int, str], None]
"""Called with how much is done, of how much, and what."""


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
        threads: Threads of the sleep kernels; None: one for each core.
        progress: Told how far a step is.
    """

    command: str = "python"
    resume: bool = False
    force: bool = False
    device: str = "cpu"
    threads: int | None = None
    progress: Progress = field(default=_silent)
