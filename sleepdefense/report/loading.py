"""Read what a run left in its folder. What is missing or damaged is noted, and the rest is read."""

import json
from pathlib import Path
from typing import Any

from sleepdefense.checkpoint import Checkpoint, file_digest, load_checkpoint
from sleepdefense.consolidation.diary import SleepDiary, measured_from_arrays, rows_from_arrays
from sleepdefense.conversion.report import ConversionReport, LayerReport
from sleepdefense.errors import CheckpointError
from sleepdefense.evaluation.files import load_results
from sleepdefense.report.evaluation_loading import load_evaluation
from sleepdefense.report.reader import Reader
from sleepdefense.report.record import RunFile, RunRecord, Training, WeightChange
from sleepdefense.report.strips import load_strips

RESULTS = "results.h5"
EXPECTED = (
    "config.json",
    "classifier.h5",
    "awake.h5",
    "spiking.h5",
    "sleep.h5",
    "slept.h5",
    "woken.h5",
    "conversion.json",
    "rasters.h5",
    RESULTS,
    "samples.h5",
)
"""What a finished run has; one that trains no purifier has no classifier.h5."""


def load_record(directory: Path) -> RunRecord:
    """Read a run, finished or not, or an evaluation alone.

    Args:
        directory: The folder that `sleepdefense run --out` wrote; or the file of results that `sleepdefense
            eval --out` wrote, or a folder that holds such a file and nothing of a run.

    Returns:
        All there is; `absent` names what is not there or cannot be read, and why.

    Raises:
        CheckpointError: There is no such folder or file, no file of a run in it, or the file of results is
            damaged.
    """
    if directory.is_file():
        return load_evaluation(directory)
    if not directory.is_dir():
        raise CheckpointError(f"there is no folder '{directory}': expected one that a run has written")
    found = {path.name for path in directory.iterdir()}
    if not found & set(EXPECTED) - {RESULTS}:
        alone = RESULTS if RESULTS in found else _only([name for name in found if name.endswith(".h5")])
        if alone is not None:
            return load_evaluation(directory / alone)
        raise CheckpointError(
            f"'{directory}' holds no file of a run: expected some of {', '.join(EXPECTED)}. "
            "Make one with 'sleepdefense run --out DIR', or name a file that 'sleepdefense eval --out' wrote"
        )
    reader = Reader(directory)
    config = reader.read("config.json", _object)
    table = reader.read(RESULTS, load_results)
    naps = [diary for name in _nap_names(directory) if (diary := reader.read(name, _diary)) is not None]
    conversion = reader.read("conversion.json", _conversion)
    strips = load_strips(reader, table)
    files = _files(directory, reader)
    return RunRecord(
        name=str((config or {}).get("name", directory.resolve().name)),
        config=config,
        table=table,
        strips=strips,
        conversion=conversion,
        rasters=reader.read("rasters.h5", _rasters) or {},
        weights=_weights(reader, [] if conversion is None else [layer.name for layer in conversion.layers]),
        naps=tuple(naps),
        dose=_dose(reader),
        trainings=_trainings(directory, reader),
        files=files,
        timings=_timings(directory, reader),
        absent={name: reader.absent[name] for name in sorted(reader.absent)},
    )


def _only(names: list[str]) -> str | None:
    return names[0] if len(names) == 1 else None


def _object(path: Path) -> dict[str, Any]:
    value = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(value, dict):
        raise ValueError("expected a JSON object")
    return value


def _conversion(path: Path) -> ConversionReport:
    value = _object(path)
    return ConversionReport(
        layers=tuple(_layer(layer) for layer in value["layers"]),
        removed=tuple((str(name), str(reason)) for name, reason in value["removed"]),
        num_steps=tuple(int(steps) for steps in value["num_steps"]),
        num_images=int(value["num_images"]),
    )


def _layer(value: dict[str, Any]) -> LayerReport:
    def by_steps(name: str) -> dict[int, float]:
        return {int(steps): _number(found) for steps, found in value[name].items()}

    return LayerReport(
        name=str(value["name"]),
        fate=str(value["fate"]),
        scale=_number(value["scale"]),
        clipped=None if value["clipped"] is None else float(value["clipped"]),
        rate=None if value["rate"] is None else float(value["rate"]),
        correlation=by_steps("correlation"),
        error=by_steps("error"),
    )


def _number(value: object) -> float:
    return float("nan") if value is None else float(str(value))


def _rasters(path: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for name, train in load_checkpoint(path, kind="results").arrays.items():
        when, _, layer = name.partition("/")
        if when in ("before", "after") and layer and train.ndim == 2:
            found.setdefault(when, {})[layer] = (train != 0).astype("uint8")
    return found


def _nap_names(directory: Path) -> list[str]:
    """Return the names of the diaries in the order of the naps; the last one has no number."""

    def number(path: Path) -> tuple[int, str]:
        digits = path.name.removeprefix("nap").partition(".")[0]
        return (int(digits) if digits.isdecimal() else 0, path.name)

    return [path.name for path in sorted(directory.glob("nap*.sleep.h5"), key=number)] + ["sleep.h5"]


def _diary(path: Path) -> SleepDiary:
    """Read a diary; a sleep that is not finished has one without an end."""
    checkpoint = load_checkpoint(path, kind="sleep")
    facts, arrays = checkpoint.settings, checkpoint.arrays
    whole = facts.get("diary")
    if isinstance(whole, dict):
        return SleepDiary.from_arrays(arrays, whole)
    stages = tuple(str(name) for name in facts["stages"])
    rows = rows_from_arrays(arrays)
    return SleepDiary(
        stages=stages,
        twins={},
        notes=(),
        strengths=facts["strengths"],
        thresholds=facts["thresholds"],
        rows=rows,
        events={name: arrays[f"events/{place}"] for place, name in enumerate(stages)},
        measures=tuple(checkpoint.provenance.get("measures", ())),
        measured=measured_from_arrays(arrays),
        doses={name: float(rows[-1].change[place]) for place, name in enumerate(stages)} if rows else {},
        reached=tuple(name for name in stages if name in facts["finished"]),
        verdict=None,
    )


def _dose(reader: Reader) -> float | None:
    """Return the dose that the settings of the sleep name."""
    checkpoint = reader.read("sleep.h5", lambda path: load_checkpoint(path, kind="sleep"))
    places = [] if checkpoint is None else list(checkpoint.provenance.values())
    for place in places:
        if isinstance(place, dict) and isinstance(place.get("rho"), int | float):
            return float(place["rho"])
    return None


def _weights(reader: Reader, order: list[str]) -> tuple[WeightChange, ...]:
    """Pair the weights of the slept network with those it was converted with."""
    checkpoint = reader.read("slept.h5", lambda path: load_checkpoint(path, kind="spiking"))
    if checkpoint is None:
        return ()
    changed = []
    for name in _in_order(checkpoint, order):
        before, after = checkpoint.arrays[f"origin/{name}"], checkpoint.arrays[f"weight/{name}"]
        if before.shape == after.shape and before.ndim > 1:
            changed.append(WeightChange(name=name, before=before, after=after))
    return tuple(changed)


def _in_order(checkpoint: Checkpoint, order: list[str]) -> list[str]:
    """Return the layers whose weights are there twice, in the given order, or by name."""
    names = [
        name.removeprefix("weight/")
        for name in checkpoint.arrays
        if name.startswith("weight/") and f"origin/{name.removeprefix('weight/')}" in checkpoint.arrays
    ]

    def place(name: str) -> list[tuple[int, int, str]]:
        parts = name.split(".")
        numbers = [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]
        return [(0, order.index(name) if name in order else len(order), ""), *numbers]

    return sorted(names, key=place)


def _trainings(directory: Path, reader: Reader) -> tuple[Training, ...]:
    def read(path: Path) -> Training:
        checkpoint = load_checkpoint(path, kind="training")
        losses = tuple(float(loss) for loss in checkpoint.settings["losses"])
        which = path.name.removesuffix(".training.h5")
        model = checkpoint.settings.get("training", {}).get("model", "")
        return Training(name=f"{which}: {model}" if model else which, losses=losses)

    names = sorted(path.name for path in directory.glob("*.training.h5"))
    ordered = sorted(names, key=lambda name: (name != "classifier.training.h5", name))
    return tuple(found for name in ordered if (found := reader.read(name, read)) is not None)


def _timings(directory: Path, reader: Reader) -> dict[str, float]:
    if not (directory / "timings.json").exists():
        return {}
    found = reader.read("timings.json", _object) or {}
    return {str(part): float(seconds) for part, seconds in found.items() if isinstance(seconds, int | float)}


def _files(directory: Path, reader: Reader) -> tuple[RunFile, ...]:
    """Describe every file of the run. Pairs are large: only their digest is taken."""

    def read(path: Path) -> RunFile:
        digest = file_digest(path)
        if path.suffix != ".h5" or path.name.startswith("pairs"):
            return RunFile(name=path.name, kind="pairs" if path.suffix == ".h5" else "text", digest=digest)
        checkpoint = load_checkpoint(path)
        return RunFile(name=path.name, kind=checkpoint.kind, digest=digest, provenance=checkpoint.provenance)

    for name in EXPECTED:
        if name != "classifier.h5" and not (directory / name).exists():
            reader.absent.setdefault(name, "not there yet")
    paths = [path for path in directory.iterdir() if path.suffix in (".h5", ".json") and path.is_file()]
    names = sorted(path.name for path in paths if path.name not in ("timings.json", "report.json"))
    return tuple(found for name in names if (found := reader.read(name, read)) is not None)
