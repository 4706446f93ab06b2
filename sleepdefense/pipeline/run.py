"""The whole pipeline: train, convert, sleep, reconvert, evaluate. Resumable, with the same bytes."""

import dataclasses
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from torch import nn

from sleepdefense.attacks import parse_attacks
from sleepdefense.checkpoint import write_text_atomic
from sleepdefense.config import ExperimentConfig
from sleepdefense.consolidation import CONTROLS
from sleepdefense.consolidation.ranks import Ranks, joined_ranks
from sleepdefense.conversion import conversion_report, to_awake
from sleepdefense.data import ImageSet, load_data
from sleepdefense.errors import ConfigError
from sleepdefense.evaluation import RobustnessTable, evaluate_systems
from sleepdefense.models import Purified
from sleepdefense.models.base import AbstractClassifier
from sleepdefense.pipeline.artifacts import save_conversion, save_rasters, save_samples
from sleepdefense.pipeline.context import Context, fixed_arithmetic
from sleepdefense.pipeline.refreshing import refresh
from sleepdefense.pipeline.sleeping import make_rule, make_sleep_config, sleep_step
from sleepdefense.pipeline.steps import convert_step, new_model, train_step, wake_step
from sleepdefense.spiking import SpikingNetwork

NO_DEFENCE = "no defence"
BEFORE = "defence before sleep"
AFTER = "defence after sleep"
CLASSIFIER_BEFORE = "before sleep"
CLASSIFIER_AFTER = "after sleep"
SAMPLES = 8
PARTS = (
    *("classifier*.h5", "awake*.h5", "pairs.h5", "spiking.h5", "sleep.h5", "slept.h5", "woken.h5", "nap*.h5"),
    *("rasters.h5", "samples.h5", "results.h5", "config.json", "conversion.json", "results.json"),
    "results.timing.json",
    *("timings.json", "report.html"),
)
"""Names of the files of a run: all that --force removes."""


@dataclass(frozen=True, slots=True)
class _Folder:
    """Where the parts of a run lie."""

    root: Path

    def __getitem__(self, name: str) -> Path:
        return self.root / name


@fixed_arithmetic()
def run(
    config: ExperimentConfig, out: Path, context: Context, *, data_dir: Path | None = None
) -> RobustnessTable:
    """Do a whole run, or what is left of one.

    Every step writes its result under a temporary name and renames it; a run that was killed goes on from
    the last result, in the middle of a training, a sleep or an evaluation, and ends with the same bytes as
    one that was not.

    Where torchrun or accelerate launch started several processes, all must call this, on one file system.
    They share training and sleep; the main one does the rest and writes, while the others wait. A training
    rounds its sums by the number of processes, a sleep knows nothing of it.

    Args:
        config: What to do.
        out: Folder for all results.
        context: How to run.
        data_dir: Where data sets lie.

    Returns:
        The table of what was measured.

    Raises:
        ConfigError: A setting is wrong, or `out` holds another run and neither resume nor force is given.
        SleepDefenseError: A step fails; what was finished before stays.
    """
    with joined_ranks() as ranks:
        return _run(config, out, context, data_dir, ranks)


def _run(
    config: ExperimentConfig, out: Path, context: Context, data_dir: Path | None, ranks: Ranks
) -> RobustnessTable:
    check_config(config)
    folder = ranks.on_main(lambda: _open(out, config, context))
    train, test = load_data(config.data.name, data_dir=data_dir, limit=config.data.limit)
    if config.data.held_out >= len(train):
        raise ConfigError(
            f"'data.held_out' is {config.data.held_out}, expected fewer than the {len(train)} training images"
        )
    awake_part = train.part(0, len(train) - config.data.held_out)
    held_out = train.part(len(train) - config.data.held_out, len(train))
    if config.evaluation.images is not None:
        test = test.take(config.evaluation.images)
    step = dataclasses.replace(context, resume=True, force=False)  # what is not wanted is gone
    clock = _Clock(folder["timings.json"], is_kept=ranks.is_main)
    is_classifier = isinstance(new_model(config.awake, train.take(1), seed=0), AbstractClassifier)

    classifier: nn.Module | None = None
    if not is_classifier:
        with clock.part("train the classifier"):
            classifier = train_step(
                config.classifier,
                awake_part,
                folder["classifier.h5"],
                step,
                seed=config.seed,
                device=context.device,
            )
    with clock.part("train the network"):
        awake = train_step(
            config.awake,
            awake_part,
            folder["awake.h5"],
            step,
            seed=config.seed,
            pairs=None if is_classifier else config.pairs,
            classifier=None if is_classifier else folder["classifier.h5"],
            cache=folder["pairs.h5"],
            device=context.device,
        )
    with clock.part("sleep"):
        before, after = _naps(config, folder, awake_part, held_out, classifier, step, ranks)
    woken = ranks.main_first(lambda: wake_step(folder["slept.h5"], folder["woken.h5"], step))
    with clock.part("compare"):
        ranks.on_main(lambda: _compare(config, folder, before, after, test))
    with clock.part("evaluate"):
        table = ranks.main_first(
            lambda: _evaluate(config, folder, awake, woken, classifier, before, after, test, step)
        )
    shown = NO_DEFENCE if classifier is not None else CLASSIFIER_BEFORE
    purifiers = {} if classifier is None else {"purified": awake, "purified_after": woken}
    ranks.on_main(
        lambda: save_samples(
            folder["samples.h5"],
            table,
            test.images[:SAMPLES],
            test.labels[:SAMPLES],
            system=shown,
            purifiers=purifiers,
        )
    )
    return table


def check_config(config: ExperimentConfig) -> None:
    """Resolve every name of a configuration before anything is computed.

    Raises:
        ConfigError: A name or a setting of a later step is wrong.
    """
    parse_attacks(config.evaluation.attacks)
    parse_attacks(config.pairs.attacks)
    make_rule(config.sleep)
    make_sleep_config(config.sleep, seed=config.seed)
    for name in config.sleep.controls:
        if name not in CONTROLS:
            raise ConfigError(f"unknown control '{name}': expected some of {', '.join(CONTROLS)}")


def _open(out: Path, config: ExperimentConfig, context: Context) -> _Folder:
    """Make the folder, or check that it holds the same run."""
    settings = out / "config.json"
    text = json.dumps(config.to_json(), indent=1, sort_keys=True) + "\n"
    if out.exists() and not out.is_dir():
        raise ConfigError(f"'{out}' is a file: --out must name a folder")
    found = [path for path in out.iterdir() if not path.name.startswith(".")] if out.exists() else []
    if found and not settings.exists():
        raise ConfigError(
            f"'{out}' holds other files and no run, which --force shall not touch: give another --out"
        )
    if found:
        if not (context.resume or context.force):
            raise ConfigError(f"'{out}' is not empty: go on with --resume, or start anew with --force")
        same = settings.exists() and settings.read_text(encoding="utf-8") == text
        if not same and not context.force:
            raise ConfigError(f"'{out}' holds a run with other settings: give another --out, or --force")
        if not context.resume or not same:
            _clear(out)
    out.mkdir(parents=True, exist_ok=True)
    write_text_atomic(settings, text)
    return _Folder(out)


def _clear(out: Path) -> None:
    """Remove the results of a run, and nothing else."""
    for pattern in PARTS:
        for path in out.glob(pattern):
            path.unlink()
    for parts in (*out.glob("pairs.h5.parts"), *out.glob("results.h5.parts")):
        for path in parts.iterdir():
            path.unlink()
        parts.rmdir()


def _naps(
    config: ExperimentConfig,
    folder: _Folder,
    data: ImageSet,
    held_out: ImageSet,
    classifier: nn.Module | None,
    context: Context,
    ranks: Ranks,
) -> tuple[SpikingNetwork, SpikingNetwork]:
    """Sleep once, or in naps with awake mini-batches between; return both ends of the last nap."""
    awake = folder["awake.h5"]
    for cycle in range(config.sleep.cycles):
        is_last = cycle == config.sleep.cycles - 1
        prefix = "" if is_last else f"nap{cycle + 1}."
        spiking, slept = folder[f"{prefix}spiking.h5"], folder[f"{prefix}slept.h5"]
        convert = partial(
            convert_step, awake, data, spiking, context, config=config.conversion, seed=config.seed
        )
        before = ranks.main_first(convert)
        after = sleep_step(
            spiking,
            data,
            slept,
            context,
            section=config.sleep,
            seed=config.seed + cycle,
            held_out=held_out,
            classifier=classifier,
            state=folder[f"{prefix}sleep.h5"],
        )
        if not is_last:
            woken = folder[f"{prefix}woken.h5"]
            ranks.main_first(partial(wake_step, slept, woken, context))
            awake = folder[f"{prefix}awake.h5"]
            refresh(
                woken,
                awake,
                data,
                context,
                config=config.awake,
                pairs=config.pairs,
                cache=folder["pairs.h5"],
                classifier=classifier,
                num_batches=config.sleep.awake_steps,
                part=cycle,
                seed=config.seed,
            )
    return before, after.network


def _compare(
    config: ExperimentConfig, folder: _Folder, before: SpikingNetwork, after: SpikingNetwork, test: ImageSet
) -> None:
    """Compare the spiking network with the awake one, and keep some spikes."""
    if not folder["conversion.json"].exists():
        images = test.images[: config.conversion.report_images]
        report = conversion_report(before, images, num_steps=config.conversion.report_steps)
        save_conversion(folder["conversion.json"], report)
    if not folder["rasters.h5"].exists():
        save_rasters(folder["rasters.h5"], before, after, test.images[:1], seed=config.seed)


def _evaluate(
    config: ExperimentConfig,
    folder: _Folder,
    awake: nn.Module,
    woken: nn.Module,
    classifier: nn.Module | None,
    before: SpikingNetwork,
    after: SpikingNetwork,
    test: ImageSet,
    context: Context,
) -> RobustnessTable:
    """Attack the network before and after its sleep, its controls, and what stands undefended."""
    controls = {
        f"control: {name}": to_awake(CONTROLS[name](before, after, config.seed))
        for name in config.sleep.controls
    }
    systems: dict[str, nn.Module]
    if classifier is None:
        systems = {CLASSIFIER_BEFORE: awake, CLASSIFIER_AFTER: woken, **controls}
    else:
        systems = {NO_DEFENCE: classifier}
        behind = {BEFORE: awake, AFTER: woken, **controls}
        systems |= {name: Purified(purifier, classifier) for name, purifier in behind.items()}
    return evaluate_systems(
        systems,
        test,
        config.evaluation.attacks,
        seed=config.seed,
        batch_size=config.evaluation.batch_size,
        checks=config.evaluation.checks,
        resume=folder["results.h5"],
        note=f"run '{config.name}', one seed",
        progress=context.progress,
    )


class _Clock:
    """Adds up how long each part of a run took, over all its attempts."""

    def __init__(self, path: Path, *, is_kept: bool) -> None:
        self.path = path
        self.is_kept = is_kept
        self.seconds: dict[str, float] = {}
        if path.exists():
            self.seconds = json.loads(path.read_text(encoding="utf-8"))

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = round(self.seconds.get(name, 0.0) + time.perf_counter() - start, 1)
            if self.is_kept:
                write_text_atomic(self.path, json.dumps(self.seconds, indent=1) + "\n")
