"""Who works on the cells of an evaluation: this process, or others."""

from abc import ABC, abstractmethod
from collections import deque
from typing import NamedTuple

from typing_extensions import override

from sleepdefense.evaluation.cells import Batch, CellResult, Task, run_cell


class CellKey(NamedTuple):
    """Which cell: the number of a piece of work, and of a batch."""

    work: int
    batch: int


class AbstractRunner(ABC):
    """Works on cells; results may come in any order.

    Attributes:
        capacity: How many cells it can make use of at once.
    """

    capacity: int

    @abstractmethod
    def submit(self, key: CellKey, task: Task, batch: Batch) -> None:
        """Take a cell. The task of one number of work is always the same."""

    @abstractmethod
    def next(self) -> tuple[CellKey, CellResult]:
        """Wait for a cell that was submitted to be finished, and return what came out of it."""

    @abstractmethod
    def close(self) -> None:
        """Forget the cells that are not finished."""


class InProcess(AbstractRunner):
    """Works on one cell after the other, here."""

    capacity = 1

    def __init__(self) -> None:
        self._waiting: deque[tuple[CellKey, Task, Batch]] = deque()

    @override
    def submit(self, key: CellKey, task: Task, batch: Batch) -> None:
        """Put a cell in line."""
        self._waiting.append((key, task, batch))

    @override
    def next(self) -> tuple[CellKey, CellResult]:
        """Work on the cell that was submitted first."""
        key, task, batch = self._waiting.popleft()
        return key, run_cell(task, batch)

    @override
    def close(self) -> None:
        """Forget the cells that wait."""
        self._waiting.clear()
