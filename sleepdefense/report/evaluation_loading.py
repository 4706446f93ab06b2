"""Read what an evaluation alone has left: one file of results, with or without a folder of its own."""

import json
from pathlib import Path

import numpy as np

from sleepdefense.checkpoint import file_digest
from sleepdefense.errors import CheckpointError
from sleepdefense.evaluation.files import load_results
from sleepdefense.evaluation.results import CLEAN, RobustnessTable
from sleepdefense.evaluation.views import NORMS
from sleepdefense.report.reader import Reader
from sleepdefense.report.record import ImageRow, RunFile, RunRecord, SampleStrip
from sleepdefense.report.threats import NO_MODEL


def load_evaluation(path: Path) -> RunRecord:
    """Read a file of results as a record of its own.

    Args:
        path: The HDF5 file that `sleepdefense eval --out` wrote.

    Returns:
        The table, its sample images and where it comes from.

    Raises:
        CheckpointError: The file is missing, damaged, or holds something else.
    """
    if path.suffix == ".json":
        raise CheckpointError(f"'{path}' is a summary: name the .h5 file beside it, which holds all results")
    table = load_results(path)
    shown = {name: value for name, value in table.provenance.items() if name not in ("costs", "versions")}
    return RunRecord(
        name=path.stem,
        config=shown,
        table=table,
        strips=evaluation_strips(table),
        files=(
            RunFile(name=path.name, kind="results", digest=file_digest(path), provenance=table.provenance),
        ),
        timings=_timings(path.with_suffix(".timing.json")),
        is_evaluation=True,
    )


def _timings(path: Path) -> dict[str, float]:
    """Return how many seconds each attack took, as far as that is known."""
    reader = Reader(path.parent)
    found = reader.read(path.name, lambda each: dict(json.loads(each.read_text(encoding="utf-8"))["seconds"]))
    return {
        str(part): float(seconds)
        for part, seconds in (found or {}).items()
        if isinstance(seconds, int | float)
    }


def evaluation_strips(table: RobustnessTable) -> tuple[SampleStrip, ...]:
    """Return the first images of each system, clean and as every attack of a norm left them."""
    count = table.sample_images.shape[1]
    if not count:
        return ()
    strips = []
    for system in dict.fromkeys(row.system for row in table.rows):
        for norm in (*NORMS, "none"):
            rows = [
                _row(table, number, count)
                for number, row in enumerate(table.rows)
                if row.system == system and not row.is_error and (row.key == CLEAN or row.norm == norm)
            ]
            if len(rows) > 1:
                name = "corruptions" if norm == NO_MODEL else f"{norm} attacks"
                strips.append(
                    SampleStrip(title=f"{name} on '{system}'", labels=table.labels[:count], rows=tuple(rows))
                )
    return tuple(strips)


def _row(table: RobustnessTable, number: int, count: int) -> ImageRow:
    row = table.rows[number]
    saw = "" if row.threat_model == NO_MODEL else f", {row.threat_model}"
    return ImageRow(
        title=f"{row.attack}{saw}",
        images=np.asarray(table.sample_images[number]),
        predicted=table.predicted[number][:count],
    )
