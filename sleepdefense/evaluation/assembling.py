"""From what was recorded of each piece of work to the rows of a table."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sleepdefense.attacks.fingerprint import versions
from sleepdefense.data.image_set import ImageSet
from sleepdefense.evaluation.cells import member_names
from sleepdefense.evaluation.plan import Work, describe
from sleepdefense.evaluation.preparing import Preparation
from sleepdefense.evaluation.record import Record
from sleepdefense.evaluation.results import Judged, RobustnessTable, make_table
from sleepdefense.evaluation.rows import UNFINISHED


def assemble(ready: Preparation, records: Sequence[Record], data: ImageSet, *, note: str) -> RobustnessTable:
    """Make the table of an evaluation, or of what it has finished until now.

    Args:
        ready: What was to be done.
        records: What was found, one for each piece of work; of unfinished ones the finished batches count.
        data: The images.
        note: What a reader must know of the scale.

    Returns:
        The table, without findings.
    """
    identity = ready.identity
    provenance = {
        "data": data.name,
        "seed": identity["seed"],
        "cascade": identity["cascade"],
        "versions": versions(),
        "costs": [_cost(piece, record) for piece, record in zip(ready.work, records, strict=True)],
        "fingerprint": identity,
    }
    labels = data.labels.cpu().numpy().astype(np.int32)
    return make_table(_in_order(ready, records), labels, provenance=provenance, note=note)


def _cost(work: Work, record: Record) -> dict[str, Any]:
    """Return how often a piece of work asked the attacked model; JSON values."""
    return {
        "attack": work.key,
        "rows": [f"{cell.system.name}, {cell.threat_model}" for cell in work.cells],
        **{name: record.count(name) for name in ("num_attacked", "forward", "backward")},
    }


def _in_order(ready: Preparation, records: Sequence[Record]) -> list[Judged]:
    """Sort the rows by system, then by attack, then by threat model."""
    rows: dict[tuple[int, int, int], Judged] = {}
    attacks = list(dict.fromkeys(piece.attack for piece in ready.work))
    for piece, record in zip(ready.work, records, strict=True):
        is_whole = bool(record.done.all())
        for row, cell in enumerate(piece.cells):
            models = list(cell.system.surfaces)
            rank = models.index(cell.threat_model) if cell.threat_model in models else -1
            rows[ready.systems.index(cell.system), attacks.index(piece.attack), rank] = Judged(
                description={
                    **describe(piece, cell, record.status(row) if is_whole else _unfinished(record, row)),
                    "num_attacked": record.num_attacked(row),
                },
                predicted=record.predicted[row],
                moved=record.moved,
                sample_images=record.sample_images,
                winner=record.winner,
                members=member_names(piece.surface, piece.attack),
                done=None if is_whole else record.done_images,
            )
    return [rows[place] for place in sorted(rows)]


def _unfinished(record: Record, row: int) -> str:
    """Say how far a row is."""
    if record.errors[row] is not None:
        return record.status(row)
    done = record.done_images
    return f"{UNFINISHED}: {int(done.sum())} of {len(done)} images"
