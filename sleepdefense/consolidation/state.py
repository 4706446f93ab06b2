"""The state of a sleep between two batches, and its file."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sleepdefense.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from sleepdefense.consolidation.course import Course
from sleepdefense.consolidation.diary import (
    BatchRow,
    Measurement,
    SleepDiary,
    measured_from_arrays,
    measured_to_arrays,
    rows_from_arrays,
    rows_to_arrays,
)
from sleepdefense.errors import CheckpointError, SleepError
from sleepdefense.spiking.network import SpikingNetwork


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SleepState:
    """Everything that the next batch depends on, and what the diary needs. A value: a batch makes a new one.

    Attributes:
        batch: Batches so far.
        course: Weights and finished layers.
        strengths: Stage -> strength.
        thresholds: Firing node -> threshold, where it is not that of the conversion.
        rows: One for each batch.
        events: Stage -> how often each feature learned, (feature,).
        measured: What the measures gave.
    """

    batch: int
    course: Course
    strengths: Mapping[str, float]
    thresholds: Mapping[str, float]
    rows: tuple[BatchRow, ...]
    events: Mapping[str, NDArray[np.int64]]
    measured: tuple[Measurement, ...]


def save_state(
    path: Path, state: SleepState, identity: Mapping[str, Any], diary: SleepDiary | None = None
) -> None:
    """Write the state, whole or not at all.

    Args:
        path: The file.
        state: Between two batches.
        identity: What decides the result: settings, rule, digests of network and images; JSON values.
        diary: When the sleep is over. It shares its arrays with the state.

    Raises:
        CheckpointError: The file cannot be written.
    """
    layers, stages = sorted(state.course.masters), list(state.events)
    arrays: dict[str, NDArray[Any]] = rows_to_arrays(state.rows, len(stages))
    arrays |= measured_to_arrays(state.measured, len(identity["measures"]))
    arrays |= {f"events/{i}": state.events[name] for i, name in enumerate(stages)}
    arrays |= {f"weights/{i}": state.course.masters[name] for i, name in enumerate(layers)}
    settings = {
        "batch": state.batch,
        "layers": layers,
        "stages": stages,
        "finished": sorted(state.course.finished),
        "strengths": dict(state.strengths),
        "thresholds": dict(state.thresholds),
        "diary": None if diary is None else diary.facts(),
    }
    save_checkpoint(
        path, Checkpoint(kind="sleep", arrays=arrays, settings=settings, provenance=dict(identity))
    )


def load_state(path: Path, identity: Mapping[str, Any]) -> SleepState:
    """Read a state that `save_state` wrote for the same sleep.

    Args:
        path: The file.
        identity: Of the sleep that wants to go on.

    Raises:
        CheckpointError: The file is no state of a sleep, or damaged.
        SleepError: It belongs to another sleep; the message says what differs.
    """
    found = load_checkpoint(path, kind="sleep")
    _compare(path, found.provenance, identity)
    try:
        facts, arrays = found.settings, found.arrays
        course = Course(
            masters={name: arrays[f"weights/{i}"] for i, name in enumerate(facts["layers"])},
            finished=frozenset(facts["finished"]),
        )
        return SleepState(
            batch=facts["batch"],
            course=course,
            strengths=facts["strengths"],
            thresholds=facts["thresholds"],
            rows=rows_from_arrays(arrays),
            events={name: arrays[f"events/{i}"] for i, name in enumerate(facts["stages"])},
            measured=measured_from_arrays(arrays),
        )
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise CheckpointError(f"'{path}' holds no complete sleep: {error!r}") from error


def load_diary(path: Path) -> SleepDiary:
    """Read the diary of a sleep that is over from the file of its state.

    Raises:
        CheckpointError: The file is no state of a sleep, is damaged, or that sleep is not over.
    """
    found = load_checkpoint(path, kind="sleep")
    facts = found.settings.get("diary")
    if facts is None:
        raise CheckpointError(f"'{path}' holds a sleep that is not over: resume it first")
    try:
        return SleepDiary.from_arrays(found.arrays, facts)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise CheckpointError(f"'{path}' holds no complete diary: {error!r}") from error


def network_digest(network: SpikingNetwork) -> str:
    """Return the SHA-256 of everything about a network that a sleep depends on."""
    digest = hashlib.sha256()
    for node in network.nodes:
        facts = (node.name, node.op, node.inputs, node.gains, node.shape, node.phase, node.threshold)
        digest.update(repr(facts).encode())
        if node.synapses is not None:
            options = sorted(node.synapses.options.items())
            digest.update(repr((node.synapses.kind, options, node.synapses.grid_bits)).encode())
            _add_(digest, node.synapses.weight)
            if node.synapses.bias is not None:
                _add_(digest, node.synapses.bias)
    return digest.hexdigest()


def images_digest(images: Tensor) -> str:
    """Return the SHA-256 of shape and content of some images."""
    digest = hashlib.sha256()
    _add_(digest, images)
    return digest.hexdigest()


def _add_(digest: "hashlib._Hash", values: Tensor) -> None:
    digest.update(repr(tuple(values.shape)).encode())
    digest.update(np.ascontiguousarray(values.detach().cpu().float().numpy()).tobytes())


def _compare(path: Path, found: Mapping[str, Any], identity: Mapping[str, Any]) -> None:
    for key in sorted({*found, *identity}):
        before, now = found.get(key), identity.get(key)
        if before == now:
            continue
        if isinstance(before, dict) and isinstance(now, dict):
            names = [name for name in sorted({*before, *now}) if before.get(name) != now.get(name)]
            differ = ", ".join(f"{name} was {before.get(name)!r}, is {now.get(name)!r}" for name in names)
        else:
            differ = f"it was {before!r}, is {now!r}"
        raise SleepError(
            f"cannot resume '{path}': another {key} began that sleep ({differ}). Resume with the "
            "same, or start anew with force."
        )
