"""Attack systems and count what they still get right: resumable, and never a lost batch."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sleepdefense.attacks.build import attack_batch
from sleepdefense.attacks.catalogue import AttackSpec
from sleepdefense.attacks.fingerprint import versions
from sleepdefense.attacks.parse import parse_attacks
from sleepdefense.data.image_set import ImageSet
from sleepdefense.errors import ConfigError, UnfinishedError
from sleepdefense.evaluation.files import load_results, save_results
from sleepdefense.evaluation.metrics import distances
from sleepdefense.evaluation.plan import Work, describe, plan_work
from sleepdefense.evaluation.record import (
    Record,
    load_record,
    new_record,
    refuse_other_work,
    save_record,
)
from sleepdefense.evaluation.results import Judged, RobustnessTable, make_table
from sleepdefense.evaluation.systems import (
    Model,
    System,
    check_resumable,
    check_system,
    device_of,
    fingerprint,
    logits_of,
    make_system,
)

NUM_SAMPLES = 8
"""Attacked images kept of each row, for reports."""

Progress = Callable[[int, int, str], None]
"""Called with the number of finished batches, their total, and what was done last."""

_FAILURES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What an attack or a foreign model may raise and a row can bear; a full disk or an interrupt goes on."""


def evaluate(
    model: Model,
    data: ImageSet,
    attacks: str | Sequence[str | AttackSpec],
    *,
    seed: int = 0,
    batch_size: int = 500,
    resume: Path | None = None,
    name: str = "model",
    note: str = "",
    progress: Progress | None = None,
) -> RobustnessTable:
    """Attack one system: `evaluate_systems` with a single one.

    Args:
        model: Gives logits. If it has `attack_surfaces()`, a mapping from threat models to modules, every
            gradient attack goes through each of these, and is judged on the whole.
        data: Images and true labels.
        attacks: What to attack with.
        seed: Seed of the random parts.
        batch_size: Images attacked at once, >= 1.
        resume: A file that keeps finished work.
        name: What the table calls the system.
        note: What a reader must know of the scale.
        progress: Told after every batch.

    Returns:
        The table, the clean images first.

    Raises:
        EvaluationError: The model cannot be evaluated, or `resume` holds other work.
        ConfigError: An attack is unknown, or `batch_size` is below 1.
        CheckpointError: `resume` is damaged or cannot be written.
    """
    return evaluate_systems(
        {name: model},
        data,
        attacks,
        seed=seed,
        batch_size=batch_size,
        resume=resume,
        note=note,
        progress=progress,
    )


def evaluate_systems(
    systems: Mapping[str, Model],
    data: ImageSet,
    attacks: str | Sequence[str | AttackSpec],
    *,
    seed: int = 0,
    batch_size: int = 500,
    resume: Path | None = None,
    note: str = "",
    progress: Progress | None = None,
) -> RobustnessTable:
    """Attack several systems and count what they still get right.

    Attacked images are made once for each (attacked module, attack) and shown to every system whose surface
    that module is. All images are attacked, those that a system gets wrong anyway included, and accuracy
    counts the predictions on the attacked ones. Predictions and distances are computed here, distances in
    float64; what an attack says of its success is not asked.

    An attack that raises becomes a row with the status "error: ...", and the others go on. With `resume`, the
    work is on disk after every batch, in a folder beside the file: a run that was killed goes on from there
    and ends in the same bytes as one that was not.

    Args:
        systems: What to evaluate, by name: modules or callables that give logits, as in `evaluate`.
        data: Images and true labels.
        attacks: What to attack with: text, or a sequence of texts and finished attacks.
        seed: Seed of the random parts, which depend on it and on an image's place in `data` alone.
        batch_size: Images attacked at once, >= 1.
        resume: A file for the finished table (HDF5, a JSON summary beside it). If it holds the same work, it
            is read. Needs modules: a plain callable cannot be told from another one.
        note: What a reader must know of the scale.
        progress: Told after every batch.

    Returns:
        The table: for each system the clean images first, then attack by attack in each threat model.

    Raises:
        EvaluationError: A system cannot be evaluated, or `resume` holds other work.
        ConfigError: An attack is unknown, no system is given, or `batch_size` is below 1.
        CheckpointError: `resume` is damaged or cannot be written.
    """
    specs = parse_attacks(attacks)
    if batch_size < 1 or not systems:
        raise ConfigError(f"expected a batch_size >= 1 and a system, got {batch_size} and {list(systems)}")
    known = [make_system(name, model) for name, model in systems.items()]
    for system in known:
        check_system(system, data)
    identity: dict[str, Any] = {
        "images": data.digest,
        "attacks": [str(spec) for spec in specs],
        "systems": {system.name: fingerprint(system) for system in known},
        "seed": seed,
        "batch_size": batch_size,
    }
    if resume is not None:
        check_resumable(known)
        if resume.exists():
            table = load_results(resume)
            refuse_other_work(resume, table.provenance.get("fingerprint"), identity)
            return table
        _parts(resume).mkdir(parents=True, exist_ok=True)
    work = plan_work(known, specs)
    records = _work_through(work, data, seed, batch_size, resume, identity, progress)
    provenance = {"data": data.name, "seed": seed, "versions": versions(), "fingerprint": identity}
    labels = data.labels.cpu().numpy().astype(np.int32)
    table = make_table(_in_order(work, records, known), labels, provenance=provenance, note=note)
    if resume is not None:
        save_results(resume, table)
        shutil.rmtree(_parts(resume), ignore_errors=True)
    return table


def _work_through(
    work: Sequence[Work],
    data: ImageSet,
    seed: int,
    batch_size: int,
    resume: Path | None,
    identity: dict[str, Any],
    progress: Progress | None,
) -> list[Record]:
    """Do everything that is not done yet, batch by batch."""
    num_batches = -(-len(data) // batch_size)
    sample_shape = (min(NUM_SAMPLES, len(data)), *data.images.shape[1:])
    records = []
    for number, piece in enumerate(work):
        record = new_record(len(piece.cells), len(data), sample_shape)
        path = None if resume is None else _parts(resume) / f"{piece.key}.h5"
        if path is not None:
            record = load_record(path, identity, record)
        while record.done < len(data):
            first, last = record.done, min(len(data), record.done + batch_size)
            _do_batch(piece, record, data, first, last, seed)
            record.done = len(data) if all(record.errors) else last
            if path is not None:
                save_record(path, record, identity)
            if progress is not None:
                done = number * num_batches + -(-record.done // batch_size)
                progress(done, len(work) * num_batches, piece.label)
        records.append(record)
    return records


def _do_batch(piece: Work, record: Record, data: ImageSet, first: int, last: int, seed: int) -> None:
    """Attack the images from `first` up to `last`, show them to all systems and write down the outcome."""
    images = data.images[first:last]
    try:
        attacked = _attack(piece, record, images, data.labels[first:last], first, seed)
    except UnfinishedError:
        raise
    except _FAILURES as error:
        record.errors = [_in_words(error)] * len(piece.cells)
        record.predicted[:] = -1
        record.sample_images[:] = 0
        return
    record.moved[first:last] = distances(
        images, attacked, piece.attack.norm if piece.attack else "none"
    ).numpy()
    samples = record.sample_images[first:last]
    samples[:] = attacked[: len(samples)].numpy()
    for row, cell in enumerate(piece.cells):
        if record.errors[row]:
            continue
        try:
            logits = logits_of(cell.system.model, attacked)
        except UnfinishedError:
            raise
        except _FAILURES as error:
            record.errors[row] = _in_words(error)
            record.predicted[row] = -1
        else:
            record.predicted[row, first:last] = logits.argmax(1).cpu().numpy()


def _attack(piece: Work, record: Record, images: Tensor, labels: Tensor, first: int, seed: int) -> Tensor:
    """Return the attacked images, on the CPU, and count those without a gradient."""
    if piece.attack is None:
        return images.cpu()
    surface = piece.surface if piece.surface is not None else piece.cells[0].system.model
    device = device_of(surface)
    index = torch.arange(first, first + len(images))
    outcome = attack_batch(
        piece.attack, surface, images.to(device), labels.to(device), index=index, seed=seed
    )
    record.without_gradient += int(outcome.without_gradient.sum())
    return outcome.images.cpu()


def _in_order(work: Sequence[Work], records: Sequence[Record], systems: Sequence[System]) -> list[Judged]:
    """Sort the rows by system, then by attack, then by threat model."""
    rows: dict[tuple[int, int, int], Judged] = {}
    attacks = list(dict.fromkeys(piece.attack for piece in work))
    for piece, record in zip(work, records, strict=True):
        for row, cell in enumerate(piece.cells):
            models = list(cell.system.surfaces)
            rank = models.index(cell.threat_model) if cell.threat_model in models else -1
            rows[systems.index(cell.system), attacks.index(piece.attack), rank] = Judged(
                description=describe(piece, cell, record.status(row)),
                predicted=record.predicted[row],
                moved=record.moved,
                sample_images=record.sample_images,
            )
    return [rows[place] for place in sorted(rows)]


def _parts(resume: Path) -> Path:
    """Return the folder that keeps unfinished work."""
    return resume.with_name(resume.name + ".parts")


def _in_words(error: Exception) -> str:
    """Return an error as one line."""
    text = " ".join(str(error).split())
    return text if text else type(error).__name__
