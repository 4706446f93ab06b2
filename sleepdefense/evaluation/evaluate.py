"""Attack systems and count what they still get right: resumable, and never a lost batch."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from sleepdefense.attacks.catalogue import AttackSpec
from sleepdefense.checkpoint import write_text_atomic
from sleepdefense.data.image_set import ImageSet
from sleepdefense.errors import ConfigError, EvaluationError
from sleepdefense.evaluation.assembling import assemble
from sleepdefense.evaluation.checking import after_attacks, before_attacks
from sleepdefense.evaluation.checks.config import CheckConfig
from sleepdefense.evaluation.files import parts_folder, save_results
from sleepdefense.evaluation.plan import Work
from sleepdefense.evaluation.preparing import finished_table, prepare
from sleepdefense.evaluation.record import Record
from sleepdefense.evaluation.results import RobustnessTable
from sleepdefense.evaluation.runner import AbstractRunner, InProcess
from sleepdefense.evaluation.schedule import How, Progress, kept_records, work_through
from sleepdefense.evaluation.systems import Model, check_resumable


def evaluate(
    model: Model,
    data: ImageSet,
    attacks: str | Sequence[str | AttackSpec],
    *,
    seed: int = 0,
    batch_size: int = 500,
    cascade: bool = False,
    checks: bool | CheckConfig = True,
    pool: ImageSet | None = None,
    resume: Path | None = None,
    max_seconds: float | None = None,
    name: str = "model",
    note: str = "",
    progress: Progress | None = None,
    runner: AbstractRunner | None = None,
) -> RobustnessTable:
    """Attack one system: `evaluate_systems` with a single one.

    Args:
        model: Gives logits. If it has `attack_surfaces()`, a mapping from threat models to modules, every
            gradient attack goes through each of these, and is judged on the whole.
        data: Images and true labels.
        attacks: What to attack with.
        seed: Seed of the random parts.
        batch_size: Images attacked at once, >= 1.
        cascade: Spare attacks the images that are down already.
        checks: Look for signs that the gradients are masked; settings, or True for the largest budget here.
        pool: Images that some attacks start from.
        resume: A file that keeps finished work.
        max_seconds: Stop after this time, with what is finished kept in `resume`.
        name: What the table calls the system.
        note: What a reader must know of the scale.
        progress: Told after every batch.
        runner: Who does the work; by default this process.

    Returns:
        The table, the clean images first.

    Raises:
        EvaluationError: The model cannot be evaluated, or `resume` holds other work.
        ConfigError: An attack is unknown, or `batch_size` or `max_seconds` is out of range.
        CheckpointError: `resume` is damaged or cannot be written.
        UnfinishedError: Time is up.
    """
    return evaluate_systems(
        {name: model},
        data,
        attacks,
        seed=seed,
        batch_size=batch_size,
        cascade=cascade,
        checks=checks,
        pool=pool,
        resume=resume,
        max_seconds=max_seconds,
        note=note,
        progress=progress,
        runner=runner,
    )


def evaluate_systems(
    systems: Mapping[str, Model],
    data: ImageSet,
    attacks: str | Sequence[str | AttackSpec],
    *,
    seed: int = 0,
    batch_size: int = 500,
    cascade: bool = False,
    checks: bool | CheckConfig = True,
    pool: ImageSet | None = None,
    resume: Path | None = None,
    max_seconds: float | None = None,
    note: str = "",
    progress: Progress | None = None,
    runner: AbstractRunner | None = None,
) -> RobustnessTable:
    """Attack several systems and count what they still get right.

    Attacked images are made once for each (attacked module, attack) and shown to every system whose surface
    that module is. An image that a system gets wrong anyway counts as misclassified at distance 0, and is not
    attacked for its sake; corruptions, which have no norm, are shown whole. Predictions and distances are
    computed here, distances in float64; what an attack says of its success is not asked.

    An attack that raises becomes a row with the status "error: ...", and the others go on. With `resume`, the
    work is on disk after every batch, in a folder beside the file: a run that was killed goes on from there
    and ends in the same bytes as one that was not. How long each attack took, which no two runs agree on, is
    written beside it, with the ending ".timing.json".

    Args:
        systems: What to evaluate, by name: modules or callables that give logits, as in `evaluate`.
        data: Images and true labels.
        attacks: What to attack with: text, or a sequence of texts and finished attacks.
        seed: Seed of the random parts, which depend on it and on an image's place in `data` alone.
        batch_size: Images attacked at once, >= 1.
        cascade: Spare each attack the images that an earlier one of its norm has brought down within its
            budget. Rows then count those above them too. Put cheap attacks first.
        checks: Look for signs that gradients are masked: those of each system before any attack, and after
            them whether attacks do what attacks must do. Settings, or True for the largest budget of the
            attacks, or False.
        pool: Images that some attacks start from, where a system sees another class; by default the first
            2000 of `data`.
        resume: A file for the finished table (HDF5, a JSON summary beside it). If it holds the same work, it
            is read. Needs modules: a plain callable cannot be told from another one.
        max_seconds: Stop after the batch that is under way then, with what is finished kept in `resume`.
        note: What a reader must know of the scale.
        progress: Told after every batch.
        runner: Who does the work; by default this process. Whoever does it, the table is the same.

    Returns:
        The table: for each system the clean images first, then attack by attack in each threat model.

    Raises:
        EvaluationError: A system cannot be evaluated, or `resume` holds other work.
        ConfigError: An attack is unknown, no system is given, or a number is out of range.
        CheckpointError: `resume` is damaged or cannot be written.
        UnfinishedError: Time is up, and `resume` holds what is finished.
    """
    if max_seconds is not None and (resume is None or not max_seconds > 0):
        raise ConfigError(
            f"max_seconds must be positive and needs a file to resume from, got {max_seconds} and {resume}"
        )
    ready = prepare(
        systems,
        data,
        attacks,
        seed=seed,
        batch_size=batch_size,
        cascade=cascade,
        checks=checks,
        pool=pool,
    )
    if resume is not None:
        check_resumable(ready.systems)
        if resume.exists():
            return finished_table(resume, ready)
        parts_folder(resume).mkdir(parents=True, exist_ok=True)
    gradients = before_attacks(ready.systems, data, ready.checks, seed=seed, progress=progress)
    how = How(
        batch_size=batch_size,
        seed=seed,
        cascade=cascade,
        pool=ready.pool.images,
        folder=None if resume is None else parts_folder(resume),
        identity=ready.identity,
        max_seconds=max_seconds,
        progress=progress,
    )
    records = work_through(ready.work, data, how, InProcess() if runner is None else runner)
    table = assemble(ready, records, data, note=note)
    attacked = after_attacks(systems, data, table, ready.checks, seed=seed, progress=progress)
    table = table.with_findings((*gradients, *attacked))
    if resume is not None:
        _save_timing(resume, ready.work, records)
        save_results(resume, table)
        shutil.rmtree(parts_folder(resume), ignore_errors=True)
    return table


def results_so_far(
    systems: Mapping[str, Model],
    data: ImageSet,
    attacks: str | Sequence[str | AttackSpec],
    *,
    resume: Path,
    seed: int = 0,
    batch_size: int = 500,
    cascade: bool = False,
    checks: bool | CheckConfig = True,
    pool: ImageSet | None = None,
    note: str = "",
) -> RobustnessTable:
    """Show what an evaluation has finished until now, and attack nothing.

    Rows count the images of their finished batches, and say how many these are; what is not whole is left
    out of worst cases. Nobody is disturbed who is at work on the rest. There are no findings of checks.

    Args:
        systems: As for `evaluate_systems`, and so is everything else.
        data: The images.
        attacks: The attacks.
        resume: The file that keeps the work.
        seed: Of the random parts.
        batch_size: Images attacked at once.
        cascade: Whether attacks are spared what is down already.
        checks: The settings of the checks.
        pool: Images that some attacks start from.
        note: What a reader must know of the scale.

    Returns:
        The table; the whole one, with its findings, if everything is finished.

    Raises:
        EvaluationError: Nothing is finished, or `resume` holds other work.
        ConfigError: As for `evaluate_systems`.
        CheckpointError: `resume` is damaged.
    """
    ready = prepare(
        systems,
        data,
        attacks,
        seed=seed,
        batch_size=batch_size,
        cascade=cascade,
        checks=checks,
        pool=pool,
    )
    check_resumable(ready.systems)
    if resume.exists():
        return finished_table(resume, ready)
    records = kept_records(ready.work, data, parts_folder(resume), ready.identity, batch_size=batch_size)
    if not any(record.done.any() for record in records):
        raise EvaluationError(f"nothing of '{resume}' is finished: run it without asking for what there is")
    return assemble(ready, records, data, note=note)


def _save_timing(resume: Path, work: Sequence[Work], records: Sequence[Record]) -> None:
    """Write down how long each piece of work took."""
    seconds = {
        piece.label: round(float(record.seconds.sum()), 3)
        for piece, record in zip(work, records, strict=True)
    }
    write_text_atomic(resume.with_suffix(".timing.json"), json.dumps({"seconds": seconds}, indent=1) + "\n")
