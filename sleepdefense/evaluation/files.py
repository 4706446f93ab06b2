"""Results on disk: all arrays in HDF5, and the numbers that people read beside them in JSON."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sleepdefense.checkpoint import Checkpoint, load_checkpoint, save_checkpoint, write_text_atomic
from sleepdefense.errors import CheckpointError, EvaluationError
from sleepdefense.evaluation.checks.render import findings_from_json
from sleepdefense.evaluation.metrics import median_distance
from sleepdefense.evaluation.results import RobustnessTable
from sleepdefense.evaluation.rows import RobustnessRow

_ARRAYS = ("labels", "predicted", "distance", "sample_images")


def save_results(path: Path | str, table: RobustnessTable, *, force: bool = True) -> str:
    """Write a table to `path` and its summary beside it, with the ending ".json".

    Args:
        path: The HDF5 file. Its folder must exist.
        table: The results.
        force: Replace files that are there.

    Returns:
        The SHA-256 of the HDF5 file: equal results give equal bytes.

    Raises:
        CheckpointError: A file is there and `force` is false, or cannot be written.
    """
    path = Path(path)
    summary = path.with_suffix(".json")
    if not force and summary.exists():
        raise CheckpointError(f"'{summary}' exists already: choose another name, or force to replace it")
    text = table.summary()
    digest = save_checkpoint(
        path,
        Checkpoint(
            kind="results",
            arrays={name: np.ascontiguousarray(getattr(table, name)) for name in _ARRAYS},
            settings={
                "rows": text["rows"],
                "findings": text["findings"],
                "note": table.note,
                "finished": True,
            },
            provenance=table.provenance,
        ),
        force=force,
    )
    write_text_atomic(summary, json.dumps(text, indent=2, allow_nan=False) + "\n")
    return digest


def load_results(path: Path | str) -> RobustnessTable:
    """Read a table back.

    Raises:
        CheckpointError: The file is missing, damaged, or holds something else.
    """
    checkpoint = load_checkpoint(path, kind="results")
    try:
        arrays = {name: checkpoint.arrays[name] for name in _ARRAYS}
        fields, note = list(checkpoint.settings["rows"]), str(checkpoint.settings["note"])
        rows = tuple(
            _read_row(row, distance) for row, distance in zip(fields, arrays["distance"], strict=True)
        )
        findings = findings_from_json(checkpoint.settings.get("findings", []))
    except (KeyError, TypeError, ValueError, EvaluationError) as error:
        raise CheckpointError(f"'{path}' is no table of results: {error!r} is missing or wrong") from error
    shape = (len(rows), len(arrays["labels"]))
    samples = arrays["sample_images"].shape
    fits = arrays["predicted"].shape == shape and arrays["distance"].shape == shape
    if not fits or len(samples) != 5 or samples[0] != len(rows):
        raise CheckpointError(f"'{path}' is no table of results: its arrays do not fit its {len(rows)} rows")
    return RobustnessTable(
        rows=rows,
        labels=arrays["labels"].astype(np.int32),
        predicted=arrays["predicted"].astype(np.int32),
        distance=arrays["distance"].astype(np.float64),
        sample_images=arrays["sample_images"].astype(np.float32),
        provenance=checkpoint.provenance,
        note=note,
        findings=findings,
    )


def parts_folder(resume: Path) -> Path:
    """Return the folder that keeps unfinished work."""
    return resume.with_name(resume.name + ".parts")


def _read_row(fields: dict[str, Any], distance: NDArray[np.float64]) -> RobustnessRow:
    """Rebuild a row from JSON, where what is not a finite number is null."""
    share = fields["accuracy"] if fields["accuracy"] is not None else float("nan")
    return RobustnessRow(**{**fields, "accuracy": share, "median_distance": median_distance(distance)})
