"""Work through the cells of an evaluation: what may begin when, what is kept, and when to stop."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sleepdefense.attacks.starting import StartingPool, make_pool
from sleepdefense.data.image_set import ImageSet
from sleepdefense.errors import UnfinishedError
from sleepdefense.evaluation.cells import FAILURES, NUM_SAMPLES, Batch, CellResult, Task, in_words
from sleepdefense.evaluation.metrics import within
from sleepdefense.evaluation.plan import Work
from sleepdefense.evaluation.record import Record, load_record, new_record, save_record
from sleepdefense.evaluation.runner import AbstractRunner, CellKey

Progress = Callable[[int, int, str], None]
"""Called with the number of finished batches, their total, and what was done last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """How the cells are worked on.

    Attributes:
        batch_size: Images attacked at once.
        seed: Seed of the random parts.
        cascade: Whether an attack is spared the images that an earlier one of its norm has brought down.
        pool: Images that attacks may start from, (image, channel, height, width).
        folder: Where finished cells are kept; None keeps them in memory.
        identity: What the work is made from, so that nothing else is taken for it.
        max_seconds: When to stop, with what is finished kept; None: at the end.
        progress: Told after every cell.
    """

    batch_size: int
    seed: int
    cascade: bool
    pool: Tensor
    folder: Path | None
    identity: dict[str, Any]
    max_seconds: float | None = None
    progress: Progress | None = None


def work_through(work: Sequence[Work], data: ImageSet, how: How, runner: AbstractRunner) -> list[Record]:
    """Do everything that is not done yet, cell by cell.

    An attack on a batch waits for the clean images of that batch, since what is wrong anyway is not attacked;
    in a cascade it waits for all earlier attacks of its norm on that batch too. What a cell gives depends on
    nothing else, so the records are the same whoever works on them, in whatever order.

    Args:
        work: The plan; the clean images first.
        data: Images and labels.
        how: Settings.
        runner: Who does it.

    Returns:
        One record for each piece of work, finished.

    Raises:
        UnfinishedError: Time is up; what is finished is in the folder.
    """
    floor = _Floor(work=work, data=data, how=how)
    in_flight = 0
    begin = time.monotonic()
    try:
        while True:
            while in_flight < runner.capacity and (key := floor.next_ready()) is not None:
                try:
                    task = floor.task(key.work)
                except FAILURES as error:
                    floor.give_up(key, error)
                    continue
                runner.submit(key, task, floor.batch(key))
                in_flight += 1
            if not in_flight:
                break
            key, result = runner.next()
            in_flight -= 1
            floor.finish(key, result)
            if how.max_seconds is not None and time.monotonic() - begin >= how.max_seconds:
                if floor.is_finished:
                    break
                done, total = floor.tally()
                raise UnfinishedError(
                    f"stopped after {time.monotonic() - begin:.0f} s: {done} of {total} batches are finished "
                    "and kept. Resume to go on"
                )
    finally:
        runner.close()
    for record in floor.records:
        record.settle()
    return floor.records


def kept_records(
    work: Sequence[Work], data: ImageSet, folder: Path, identity: dict[str, Any], *, batch_size: int
) -> list[Record]:
    """Read what is finished of each piece of work, and leave everything as it is.

    Args:
        work: The plan.
        data: Images and labels.
        folder: Where finished cells are kept.
        identity: What the work is made from.
        batch_size: Images attacked at once.

    Raises:
        EvaluationError: The folder holds other work.
        CheckpointError: A file is damaged.
    """
    return [
        load_record(
            part_path(folder, piece), part_identity(identity, work, number), _empty(piece, data, batch_size)
        )
        for number, piece in enumerate(work)
    ]


def part_path(folder: Path, piece: Work) -> Path:
    """Return the file that keeps a piece of work until everything is finished."""
    return folder / f"{piece.key}.h5"


def part_identity(identity: Mapping[str, Any], work: Sequence[Work], number: int) -> dict[str, Any]:
    """Return what one piece of work is made from.

    Of the attacks that is its own, and in a cascade those before it: another one may join, or change, and
    what is finished stays. Nor do checks matter, which look at finished rows.

    Args:
        identity: What the whole is made from.
        work: The plan.
        number: The piece.
    """
    before = range(1, number) if identity["cascade"] else ()
    attacks = [work[each].attack for each in (*before, number)]
    own = list(dict.fromkeys(attack.identity for attack in attacks if attack is not None))
    return {**identity, "attacks": own, "checks": None}


def _empty(piece: Work, data: ImageSet, batch_size: int) -> Record:
    """Return the record of a piece of work before its first batch."""
    sample_shape = (min(NUM_SAMPLES, len(data)), *data.images.shape[1:])
    return new_record(len(piece.cells), len(data), batch_size, sample_shape)


@dataclass(slots=True, kw_only=True)
class _Floor:
    """Everything that is done, under way or waiting."""

    work: Sequence[Work]
    data: ImageSet
    how: How
    records: list[Record] = field(init=False)
    waiting: list[CellKey] = field(init=False)
    tasks: dict[int, Task] = field(init=False, default_factory=dict)
    pools: dict[int, StartingPool] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.records, self.waiting = [], []
        for number, piece in enumerate(self.work):
            record = _empty(piece, self.data, self.how.batch_size)
            path = self._path(number)
            if path is not None:
                record = load_record(path, part_identity(self.how.identity, self.work, number), record)
            self.records.append(record)
            if not record.has_failed:
                self.waiting += [CellKey(number, int(batch)) for batch in np.flatnonzero(~record.done)]

    def next_ready(self) -> CellKey | None:
        """Take the first waiting cell whose images are known; None if there is none at the moment."""
        for place, key in enumerate(self.waiting):
            if all(self.records[earlier].done[key.batch] for earlier in self._awaited(key.work)):
                return self.waiting.pop(place)
        return None

    def task(self, number: int) -> Task:
        """Return what is done with every batch of a piece of work."""
        if number not in self.tasks:
            piece = self.work[number]
            self.tasks[number] = Task(
                attack=piece.attack,
                surface=piece.surface,
                judges=tuple(cell.system.model for cell in piece.cells),
                seed=self.how.seed,
                pool=self._pool(piece),
            )
        return self.tasks[number]

    def batch(self, key: CellKey) -> Batch:
        """Return the images of a cell, and which of them its rows ask for."""
        here = self.records[key.work].where(key.batch)
        return Batch(
            first=here.start,
            images=self.data.images[here],
            labels=self.data.labels[here],
            asked=np.stack([self._asked(key, row)[here] for row in range(len(self.work[key.work].cells))]),
        )

    def give_up(self, key: CellKey, error: Exception) -> None:
        """Write down that a piece of work cannot begin."""
        self.records[key.work].errors = [(key.batch, in_words(error)) for _ in self.work[key.work].cells]
        self._settle(key)

    def finish(self, key: CellKey, result: CellResult) -> None:
        """Write down and keep what came out of a cell. A piece that failed needs no further cells."""
        self.records[key.work].add(key.batch, result)
        self._settle(key)

    def _settle(self, key: CellKey) -> None:
        """Keep the state of a piece of work on disk, and tell of it."""
        record = self.records[key.work]
        if record.has_failed:
            self.waiting = [other for other in self.waiting if other.work != key.work]
            record.done[:] = True
        path = self._path(key.work)
        if path is not None:
            save_record(path, record, part_identity(self.how.identity, self.work, key.work))
        if self.how.progress is not None:
            self.how.progress(*self.tally(), self.work[key.work].label)

    def tally(self) -> tuple[int, int]:
        """Return how many cells are finished, and how many there are."""
        done = sum(int(record.done.sum()) for record in self.records)
        return done, sum(len(record.done) for record in self.records)

    @property
    def is_finished(self) -> bool:
        """Whether nothing is left to do."""
        return all(bool(record.done.all()) for record in self.records)

    def _path(self, number: int) -> Path | None:
        return None if self.how.folder is None else part_path(self.how.folder, self.work[number])

    def _awaited(self, number: int) -> list[int]:
        """Return the pieces of work that decide which images this one gets."""
        if number == 0:
            return []
        norm = self.work[number].norm
        if norm == "none":
            return []
        earlier = range(1, number) if self.how.cascade else ()
        return [0, *(other for other in earlier if self.work[other].norm == norm)]

    def _asked(self, key: CellKey, row: int) -> NDArray[np.bool_]:
        """Tell which images a row wants attacked, (image,): those that are right, or still stand."""
        asked = np.ones(len(self.data), bool)
        awaited = self._awaited(key.work)
        if not awaited:
            return asked
        cell, labels = self.work[key.work].cells[row], self.data.labels.cpu().numpy()
        spec = self.work[key.work].attack
        for other in awaited:
            record = self.records[other]
            for number, candidate in enumerate(self.work[other].cells):
                if candidate.system is not cell.system or record.errors[number] is not None:
                    continue
                is_wrong = (record.predicted[number] >= 0) & (record.predicted[number] != labels)
                if other == 0:
                    asked &= ~is_wrong
                elif candidate.threat_model == cell.threat_model:
                    asked &= ~(is_wrong & within(record.moved, spec.epsilon if spec else None))
        return asked

    def _pool(self, piece: Work) -> StartingPool | None:
        """Return what an attack may start from; systems' predictions on it are asked for once."""
        if piece.attack is None or not piece.attack.needs_start:
            return None
        if id(piece.surface) not in self.pools:
            self.pools[id(piece.surface)] = make_pool(piece.surface, self.how.pool)
        return self.pools[id(piece.surface)]
