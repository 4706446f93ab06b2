"""The processes that share a sleep: who they are, and how they agree.

What is computed in floats, and every decision, is made by the main process alone and told to the others; what
all compute are integers, which add up the same in any order. So nothing depends on how many processes there
are, nor on what machines they run.
"""

import atexit
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar, final

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray

from sleepdefense.errors import SleepDefenseError, SleepError

_T = TypeVar("_T")
_PATIENCE = timedelta(days=7)
"""Processes wait for each other as long as a sleep, a training or an evaluation may take."""
_LAUNCHED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""What torchrun and accelerate launch tell each process."""


@dataclass(frozen=True, slots=True)
class _Failure:
    """What the main process tells the others in place of a result."""

    error: SleepDefenseError


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Ranks:
    """This process among all.

    Attributes:
        count: Number of processes, >= 1.
        rank: Number of this one, from 0, the main process.
        group: How they reach each other; None: there is one.
    """

    count: int = 1
    rank: int = 0
    group: Any = None

    @property
    def is_main(self) -> bool:
        """Is this the one that decides, writes and tells?"""
        return self.rank == 0

    def share(self, length: int) -> slice:
        """Return which of so many images are this process's: a run of them, for some none."""
        return slice(length * self.rank // self.count, length * (self.rank + 1) // self.count)

    def threads(self) -> int | None:
        """Return its share of the cores of its machine; None: it need not share."""
        if self.count == 1:
            return None
        neighbours = int(os.environ.get("LOCAL_WORLD_SIZE", self.count))
        return max(1, (os.cpu_count() or 1) // max(1, neighbours))

    def on_main(self, work: Callable[[], _T]) -> _T:
        """Let the main process do something while the others wait, and return what it found in all of them.

        Args:
            work: Called in the main process only.

        Raises:
            SleepDefenseError: Whatever `work` raises in the main process is raised there, and in the others
                as the same error if it is one of this package.
            SleepError: Another process is gone.
        """
        if self.count == 1:
            return work()
        told: list[Any] = [None]
        if self.is_main:
            try:
                told = [work()]
            except Exception as error:
                if not isinstance(error, SleepDefenseError):
                    self._broadcast_([_Failure(SleepError(f"the main process failed: {error!r}"))])
                else:
                    self._broadcast_([_Failure(error)])
                raise
        self._broadcast_(told)
        if isinstance(told[0], _Failure):
            raise told[0].error
        result: _T = told[0]
        return result

    def main_first(self, work: Callable[[], _T]) -> _T:
        """Let the main process do something, then the others, who find the files that it left.

        Args:
            work: Called in every process.

        Returns:
            What this process found.

        Raises:
            SleepDefenseError: As in `on_main`.
        """
        found: list[_T] = []
        self.on_main(lambda: found.append(work()))
        return found[0] if self.is_main else work()

    def sum(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the sum over all processes, exactly, in each of them.

        Raises:
            SleepError: Another process is gone.
        """
        if self.count == 1:
            return numbers
        total = torch.from_numpy(numbers.copy())
        with _noticing_loss():
            dist.all_reduce(total, group=self.group)
        found: NDArray[np.int64] = total.numpy()
        return found

    def check_same(self, what: str, value: object) -> None:
        """Refuse to go on with processes that were given different things.

        Args:
            what: Names the thing.
            value: Plain, to be compared.

        Raises:
            SleepError: Another process has another value, or is gone.
        """
        if self.count == 1:
            return
        values: list[object] = [None] * self.count
        with _noticing_loss():
            dist.all_gather_object(values, value, group=self.group)
        others = [rank for rank, other in enumerate(values) if other != values[0]]
        if others:
            raise SleepError(
                f"process {others[0]} of {self.count} sleeps with another {what} than process 0: give all "
                "processes the same network, images and settings"
            )

    def _broadcast_(self, told: list[Any]) -> None:
        """Replace the content by that of the main process."""
        with _noticing_loss():
            dist.broadcast_object_list(told, src=0, group=self.group)


@contextmanager
def joined_ranks() -> Iterator[Ranks]:
    """Join the processes that torchrun or accelerate launch started, if there are several.

    All of them must come here. They speak over the processor (gloo), whatever the network trains on. Where
    torch's process group is not there yet it is opened, and stays open until the process ends.
    """
    if not dist.is_available() or not (dist.is_initialized() or _is_launched()):
        yield Ranks()
        return
    if not dist.is_initialized():
        dist.init_process_group()
        atexit.register(_leave)
    if dist.get_world_size() == 1:
        yield Ranks()
        return
    group = dist.new_group(backend="gloo", timeout=_PATIENCE)
    try:
        yield Ranks(count=dist.get_world_size(), rank=dist.get_rank(), group=group)
    finally:
        dist.destroy_process_group(group)


def _leave() -> None:
    """Close the process group: threads left running may abort a process whose partner went first."""
    if dist.is_initialized():
        dist.destroy_process_group()


def _is_launched() -> bool:
    return all(name in os.environ for name in _LAUNCHED) and int(os.environ["WORLD_SIZE"]) > 1


@contextmanager
def _noticing_loss() -> Iterator[None]:
    """Tell in our words that another process is gone."""
    try:
        yield
    except RuntimeError as error:
        raise SleepError(
            f"another process of this sleep is gone: see what it said, and go on with resume. ({error})"
        ) from error
