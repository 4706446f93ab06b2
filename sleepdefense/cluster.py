"""The same cells on the workers of a Dask cluster: the only file that imports dask.

A worker that is killed loses nothing: its cells are done again by another one, and what a cell gives depends
on its arguments alone. What is finished is kept by whoever asked, batch by batch, as it is without a cluster.
"""

import pickle
import threading
from typing import Any

import cloudpickle
import torch
from distributed import Client, Future, as_completed
from distributed.scheduler import KilledWorker
from typing_extensions import override

from sleepdefense.errors import ConfigError, EvaluationError
from sleepdefense.evaluation.cells import Batch, CellResult, Task, failed_cell, run_cell
from sleepdefense.evaluation.runner import AbstractRunner, CellKey

CELLS_PER_THREAD = 2
"""Cells under way for each thread of the workers, so that none waits for the next one."""

_ONE_AT_A_TIME = threading.Lock()


class DaskRunner(AbstractRunner):
    """Works on cells on a Dask cluster.

    The workers need this package in the same versions. A worker does one cell after the other, with the
    number of threads that torch uses here: start several workers of one thread rather than one of several.

    Args:
        address: Of the scheduler, such as "tcp://10.0.0.7:8786", or a file that it has written
            (`dask scheduler --scheduler-file`).
        timeout: Seconds to wait for the scheduler and for a first worker.

    Raises:
        ConfigError: No scheduler answers, no worker is there, or a worker has other versions.
    """

    def __init__(self, address: str, *, timeout: float = 30.0) -> None:
        where = {"scheduler_file": address} if address.endswith(".json") else {"address": address}
        try:
            self._client = Client(**where, timeout=timeout, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            raise ConfigError(
                f"no Dask scheduler answers at '{address}' ({error}): start one with 'dask scheduler', and "
                "workers with 'dask worker ADDRESS --nthreads 1'"
            ) from error
        try:
            self._client.wait_for_workers(1, timeout=timeout)
        except TimeoutError as error:
            self._client.close()
            raise ConfigError(
                f"the Dask scheduler at '{address}' has no workers after {timeout:g} s: start some with "
                "'dask worker ADDRESS --nthreads 1'"
            ) from error
        self._check_versions(address)
        num_threads = sum(self._client.nthreads().values())
        self.capacity = CELLS_PER_THREAD * max(1, num_threads)
        self._tasks: dict[int, Future[Any]] = {}
        self._keys: dict[Any, CellKey] = {}
        self._shapes: dict[CellKey, Batch] = {}
        self._finished = as_completed(loop=self._client.loop)

    def __enter__(self) -> "DaskRunner":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    @override
    def submit(self, key: CellKey, task: Task, batch: Batch) -> None:
        """Send a cell. What all cells of a piece of work share is sent once, and can be sent again."""
        if key.work not in self._tasks:
            # a task, not scattered data, because the scheduler can restore it where a worker has died
            self._tasks[key.work] = self._client.submit(
                pickle.loads, _pickled(task), key=f"task-{key.work}-{id(self):x}", pure=False
            )
        future = self._client.submit(
            _work, self._tasks[key.work], batch, torch.get_num_threads(), key=self._name(key), pure=False
        )
        self._keys[future.key], self._shapes[key] = key, batch
        self._finished.add(future)

    @override
    def next(self) -> tuple[CellKey, CellResult]:
        """Wait for a cell that was submitted to be finished, and return what came out of it."""
        future = next(self._finished)
        key = self._keys.pop(future.key)
        batch = self._shapes.pop(key)
        error = future.exception()
        if error is None:
            result: CellResult = future.result()
            return key, result
        if isinstance(error, KilledWorker):
            words = "every worker that tried it was killed (out of memory?)"
            return key, failed_cell(batch, words)
        raise EvaluationError(
            f"a worker of the cluster could not work ({type(error).__name__}: {error}): can it import what "
            "the models are made of?"
        ) from error

    @override
    def close(self) -> None:
        """Cancel the cells that are not finished."""
        self._client.cancel(list(self._finished.futures))
        self._finished.clear()
        self._keys.clear()
        self._shapes.clear()
        self._tasks.clear()

    def _name(self, key: CellKey) -> str:
        return f"cell-{key.work}-{key.batch}-{id(self):x}"

    def _check_versions(self, address: str) -> None:
        """Refuse workers whose results would not be those of this process."""
        mine = _versions()
        for worker, theirs in self._client.run(_versions).items():
            if theirs != mine:
                self._client.close()
                raise ConfigError(
                    f"worker '{worker}' of the cluster at '{address}' has other versions: {theirs} instead "
                    f"of {mine}. Install the same ones, or leave that worker out"
                )


def _pickled(task: Task) -> bytes:
    """Return a task as bytes.

    Raises:
        EvaluationError: A model cannot be sent.
    """
    try:
        return bytes(cloudpickle.dumps(task))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise EvaluationError(
            f"a model cannot be sent to the workers ({error}): leave out what cannot be "
            "pickled, such as open files and lambdas that hold them, or evaluate without a cluster"
        ) from error


def _work(task: Task, batch: Batch, num_threads: int) -> CellResult:
    """Work on a cell, on a worker; one at a time, for models and random states are shared by its threads."""
    with _ONE_AT_A_TIME:
        if torch.get_num_threads() != num_threads:
            torch.set_num_threads(num_threads)
        return run_cell(task, batch)


def _versions() -> dict[str, Any]:
    from sleepdefense.attacks.fingerprint import versions

    return versions()
