"""What has been found so far for one set of attacked images: grows batch by batch and survives a crash."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, Int32
from numpy import ndarray

from sleepdefense.attacks.fingerprint import difference
from sleepdefense.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from sleepdefense.errors import CheckpointError, EvaluationError

_ARRAYS = ("predicted", "moved", "sample_images")


@dataclass(slots=True, kw_only=True, eq=False)
class Record:
    """The state of one piece of work.

    Attributes:
        predicted: Predicted class, (row, image); -1 where nothing is known.
        moved: How far the attack moved each image, (image,).
        sample_images: The first attacked images, (sample, channel, height, width).
        done: Images finished.
        without_gradient: How many of them gave the attack no gradient to follow.
        errors: For each row what went wrong, or "".
    """

    predicted: Int32[ndarray, "row image"]
    moved: Float64[ndarray, " image"]
    sample_images: Float32[ndarray, "sample channel height width"]
    done: int = 0
    without_gradient: int = 0
    errors: list[str] = field(default_factory=list)

    def status(self, row: int) -> str:
        """Return what the table says of a row."""
        if self.errors[row]:
            return f"error: {self.errors[row]}"
        if self.without_gradient:
            return f"no gradient: {self.without_gradient} of {self.done} images"
        return "ok"


def new_record(num_rows: int, num_images: int, sample_shape: tuple[int, ...]) -> Record:
    """Return the state before the first batch."""
    return Record(
        predicted=np.full((num_rows, num_images), -1, np.int32),
        moved=np.zeros(num_images),
        sample_images=np.zeros(sample_shape, np.float32),
        errors=[""] * num_rows,
    )


def save_record(path: Path, record: Record, fingerprint: dict[str, Any]) -> None:
    """Write the state so that the file is always a complete one."""
    settings = {
        "finished": False,
        "fingerprint": fingerprint,
        "done": record.done,
        "without_gradient": record.without_gradient,
        "errors": record.errors,
    }
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
        record = Record(
            **{name: checkpoint.arrays[name] for name in _ARRAYS},
            done=int(settings["done"]),
            without_gradient=int(settings["without_gradient"]),
            errors=[str(error) for error in settings["errors"]],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"'{path}' is no state of an evaluation: {error!r}") from error
    shapes = [(getattr(record, name).shape, getattr(empty, name).shape) for name in _ARRAYS]
    if any(found != wanted for found, wanted in shapes) or len(record.errors) != len(empty.errors):
        raise CheckpointError(f"'{path}' is no state of this evaluation: its arrays have other shapes")
    return record


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
