"""What has been found so far for one set of attacked images: grows batch by batch and survives a crash."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32, Int64
from numpy import ndarray

from sleepdefense.attacks.fingerprint import difference
from sleepdefense.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from sleepdefense.errors import CheckpointError, EvaluationError
from sleepdefense.evaluation.cells import NO_MEMBER, UNKNOWN, CellResult

_ARRAYS = ("predicted", "moved", "sample_images", "done", "counts", "seconds", "winner")
_SINCE_LATER = ("winner",)
"""Arrays that a file may lack: it then knows of no member."""
_COUNTED = ("without_gradient", "num_attacked", "forward", "backward")


@dataclass(slots=True, kw_only=True, eq=False)
class Record:
    """The state of one piece of work.

    Attributes:
        batch_size: Images of a batch; the last one may have fewer.
        predicted: Predicted class, (row, image); below 0 where there is none.
        moved: How far the attack moved each image, (image,).
        sample_images: The first attacked images, (sample, channel, height, width).
        done: Which batches are finished, in whatever order, (batch,).
        counts: For each batch, images without a gradient, attacked, passed forward and backward, (batch, 4).
        seconds: Wall time of each batch, (batch,).
        winner: Of a surface that stands for several, the member that brought each image down, (image,); -1
            where none did.
        errors: For each row, the first batch that failed and why, or None.
    """

    batch_size: int
    predicted: Int32[ndarray, "row image"]
    moved: Float64[ndarray, " image"]
    sample_images: Float32[ndarray, "sample channel height width"]
    done: Bool[ndarray, " batch"]
    counts: Int64[ndarray, "batch 4"]
    seconds: Float64[ndarray, " batch"]
    winner: Int32[ndarray, " image"]
    errors: list[tuple[int, str] | None] = field(default_factory=list)

    @property
    def has_failed(self) -> bool:
        """Whether no row can get a result any more."""
        return all(error is not None for error in self.errors)

    def where(self, batch: int) -> slice:
        """Return the places of a batch's images."""
        return slice(batch * self.batch_size, (batch + 1) * self.batch_size)

    def add(self, batch: int, result: CellResult) -> None:
        """Write down what came out of a batch. Of several errors of a row the first batch's is kept."""
        here = self.where(batch)
        self.predicted[:, here] = result.predicted
        self.moved[here] = result.moved
        self.winner[here] = result.winner
        if len(result.samples):
            self.sample_images[here][: len(result.samples)] = result.samples
        self.counts[batch] = [getattr(result, name) for name in _COUNTED]
        self.seconds[batch] = result.seconds
        self.done[batch] = True
        for row, words in enumerate(result.errors):
            known = self.errors[row]
            if words and (known is None or batch < known[0]):
                self.errors[row] = (batch, words)

    @property
    def done_images(self) -> Bool[ndarray, " image"]:
        """Which images are in a finished batch, (image,)."""
        return np.repeat(self.done, self.batch_size)[: len(self.moved)]

    def count(self, name: str) -> int:
        """Return a count over all batches: "without_gradient", "num_attacked", "forward" or "backward"."""
        return int(self.counts[:, _COUNTED.index(name)].sum())

    def num_attacked(self, row: int) -> int:
        """Return how many images were attacked for a row; 0 if it failed."""
        return 0 if self.errors[row] is not None else int((self.predicted[row] >= 0).sum())

    def status(self, row: int) -> str:
        """Return what the table says of a row."""
        error = self.errors[row]
        if error is not None:
            return f"error: {error[1]}"
        if self.count("without_gradient"):
            return f"no gradient: {self.count('without_gradient')} of {self.count('num_attacked')} images"
        return "ok"

    def settle(self) -> None:
        """Forget what was found of rows that failed later: a result is whole, or none."""
        for row, error in enumerate(self.errors):
            if error is not None:
                self.predicted[row] = UNKNOWN
        if self.has_failed:
            self.sample_images[:] = 0.0
            self.moved[:] = 0.0
            self.winner[:] = NO_MEMBER
            self.counts[:] = 0


def new_record(num_rows: int, num_images: int, batch_size: int, sample_shape: tuple[int, ...]) -> Record:
    """Return the state before the first batch."""
    num_batches = -(-num_images // batch_size)
    return Record(
        batch_size=batch_size,
        predicted=np.full((num_rows, num_images), UNKNOWN, np.int32),
        moved=np.zeros(num_images),
        sample_images=np.zeros(sample_shape, np.float32),
        done=np.zeros(num_batches, bool),
        counts=np.zeros((num_batches, len(_COUNTED)), np.int64),
        seconds=np.zeros(num_batches),
        winner=np.full(num_images, NO_MEMBER, np.int32),
        errors=[None] * num_rows,
    )


def save_record(path: Path, record: Record, fingerprint: dict[str, Any]) -> None:
    """Write the state so that the file is always a complete one."""
    settings = {"finished": False, "fingerprint": fingerprint, "errors": record.errors}
    arrays = {name: getattr(record, name) for name in _ARRAYS}
    save_checkpoint(path, Checkpoint(kind="results", arrays=arrays, settings=settings, provenance={}))


def load_record(path: Path, fingerprint: dict[str, Any], empty: Record) -> Record:
    """Read the state of an interrupted run, or return the empty one if there is none.

    Raises:
        EvaluationError: The file belongs to other work.
        CheckpointError: The file is damaged.
    """
    if not path.exists():
        return empty
    checkpoint = load_checkpoint(path, kind="results")
    settings = checkpoint.settings
    refuse_other_work(path, settings.get("fingerprint"), fingerprint)
    try:
        older = {name: getattr(empty, name) for name in _SINCE_LATER}
        found = {**older, **checkpoint.arrays}
        arrays = {name: found[name] for name in _ARRAYS}
        errors = [None if each is None else (int(each[0]), str(each[1])) for each in settings["errors"]]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise CheckpointError(f"'{path}' is no state of an evaluation: {error!r}") from error
    wanted = {name: getattr(empty, name) for name in _ARRAYS}
    fits = all(
        arrays[name].shape == wanted[name].shape and arrays[name].dtype.kind == wanted[name].dtype.kind
        for name in _ARRAYS
    )
    if not fits or len(errors) != len(empty.errors):
        raise CheckpointError(f"'{path}' is no state of this evaluation: its arrays have other shapes")
    kept = {name: arrays[name].astype(wanted[name].dtype) for name in _ARRAYS}
    return Record(batch_size=empty.batch_size, errors=errors, **kept)


def refuse_other_work(path: Path, found: Any, wanted: dict[str, Any]) -> None:
    """Refuse results that were not made from what is wanted.

    Raises:
        EvaluationError: They differ; the message says in what.
    """
    differs = difference(found, wanted) if isinstance(found, dict) else "an unknown origin"
    if differs is not None:
        raise EvaluationError(
            f"'{path}' holds results of other work ({differs}). Resume to another file, or delete this one"
        )
