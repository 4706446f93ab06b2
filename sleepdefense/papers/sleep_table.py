"""A network before and after its sleep, and its controls, under the same attacks: a table for any paper."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from sleepdefense.checkpoint import load_checkpoint
from sleepdefense.config import ConversionConfig, SleepSection
from sleepdefense.conversion.saving import network_from_checkpoint
from sleepdefense.data import ImageSet
from sleepdefense.errors import ConversionError, SleepError
from sleepdefense.evaluation import RobustnessTable, evaluate_systems
from sleepdefense.evaluation.results import CLEAN
from sleepdefense.evaluation.spiking_system import SpikingSystem
from sleepdefense.models import awake_from_file
from sleepdefense.papers.asleep import SHOWN_CONTROLS, let_sleep, spiking_file
from sleepdefense.papers.paired import Difference, count_differences, paired_difference
from sleepdefense.papers.scores import Scores
from sleepdefense.papers.side_by_side import Measured, SideBySide
from sleepdefense.pipeline import Context

BEFORE = "before"
_CHANGED = {"after": "after", **{name: f"control {name}" for name in SHOWN_CONTROLS}}
_SPIKING_STEPS = 64
_AT_ONCE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class SleepImages:
    """What a sleep and its evaluation take.

    Attributes:
        asleep: What the network sleeps on.
        held_out: What judges how much the sleep may cost.
        test: What is attacked.
    """

    asleep: ImageSet
    held_out: ImageSet
    test: ImageSet


@dataclass(frozen=True, slots=True, kw_only=True)
class SleepTrial:
    """One network of one seed, before and after its sleep.

    Attributes:
        name: Of the network; its seeds share it.
        table: Of the systems "NAME: before", "NAME: after", "NAME: control shuffled", "NAME: control anti".
        spiking: Accuracy of the spiking network before its sleep, on clean images.
        kept: The part of the sleep that the guard kept, in [0, 1]; NaN if it could not sleep.
        trouble: Why it could not sleep; "" if it could.
    """

    name: str
    table: RobustnessTable
    spiking: Measured
    kept: float
    trouble: str = ""


def sleep_trial(
    name: str,
    awake: Path,
    images: SleepImages,
    attacks: str,
    context: Context,
    *,
    out: Path,
    seed: int,
    section: SleepSection | None = None,
    seen: Callable[[nn.Module], nn.Module] | None = None,
    batch_size: int = 250,
) -> SleepTrial:
    """Let a classifier sleep, and attack it before, after, and its controls.

    Args:
        name: Of the network.
        awake: Its checkpoint; spiking, slept and woken ones lie beside it.
        images: What it sleeps on, what judges it, what is attacked.
        attacks: Names with commas between.
        context: How to run.
        out: File of the results.
        seed: Of spikes, controls and attacks.
        section: How it sleeps; None: as usual.
        seen: Makes of each network what is attacked; None: the network itself.
        batch_size: Images attacked at once.

    Returns:
        What was measured. A network that cannot sleep is attacked before, and says why.
    """
    networks: dict[str, nn.Module] = {BEFORE: awake_from_file(awake)}
    kept, trouble = math.nan, ""
    try:
        slept = let_sleep(
            awake,
            images.asleep,
            context,
            conversion=ConversionConfig(),
            section=section or SleepSection(),
            seed=seed,
            held_out=images.held_out,
        )
        networks, kept = slept.systems, slept.kept
    except (ConversionError, SleepError) as error:
        trouble = f"cannot sleep: {error}"
    table = evaluate_systems(
        {
            f"{name}: {_CHANGED.get(part, part)}": network if seen is None else seen(network)
            for part, network in networks.items()
        },
        images.test,
        attacks,
        seed=seed,
        checks=False,
        resume=out,
        batch_size=batch_size,
        progress=context.progress,
    )
    file = spiking_file(awake)
    spiking = _spiking_accuracy(file, images.test) if file.exists() else Measured()
    return SleepTrial(name=name, table=table, spiking=spiking, kept=kept, trouble=trouble)


def sleep_side_by_side(trials: Sequence[SleepTrial], *, name: str, title: str) -> SideBySide:
    """Return the accuracies of all trials, and behind each its difference to before the sleep, in points.

    The controls move each layer exactly as far as the sleep moved it. The difference is over the same images,
    with its 95 percent interval. The spiking network is measured on clean images only.

    Args:
        trials: Networks, and seeds of each.
        name: Of the table.
        title: What is said of its scale.
    """
    scores = _scores(trials)
    rows: dict[str, None] = {}
    columns: dict[str, None] = {}
    cells: dict[tuple[str, str], Measured] = {}
    for trial in trials:
        for row in trial.table.rows:
            rows[row.system], columns[row.attack] = None, None
            cells[row.system, row.attack] = _cell(trials, scores, trial.name, row.system, row.attack)
        same = [each for each in trials if each.name == trial.name]
        spiking = f"{trial.name}: spiking, {_SPIKING_STEPS} steps"
        rows[spiking] = None
        values = tuple(value for each in same for value in each.spiking.values)
        cells[spiking, CLEAN] = Measured(values=values, n=trial.spiking.n)
        if trial.trouble:
            after = f"{trial.name}: after"
            rows[after] = None
            cells.setdefault((after, CLEAN), Measured(status=trial.trouble))
    return SideBySide(
        name=name,
        title=f"Before and after one sleep (mirrored STDP, guarded), and its controls: accuracy in percent, "
        f"and in brackets the points by which it differs from before; {title}",
        rows=tuple(rows),
        columns=tuple(columns),
        measured=cells,
        corner="network",
    )


def sleep_sentences(trials: Sequence[SleepTrial]) -> tuple[str, ...]:
    """Say what each sleep and each of its controls changed beyond chance."""
    scores = _scores(trials)
    said = []
    for name, same in _by_name(trials).items():
        attacks = dict.fromkeys(row.attack for trial in same for row in trial.table.rows)
        for part in _CHANGED.values():
            known = {
                attack: difference
                for attack in attacks
                if attack != CLEAN
                and (difference := _difference(scores, name, f"{name}: {part}", attack)) is not None
            }
            if known:
                said.append(count_differences(f"{name}, {part}", known))
    return tuple(said)


def guard_sentences(trials: Sequence[SleepTrial]) -> tuple[str, ...]:
    """Say what the guards kept of each sleep, and which networks could not sleep."""
    said = []
    for name, same in _by_name(trials).items():
        kept = [f"{100 * trial.kept:.0f} %" for trial in same if not math.isnan(trial.kept)]
        if kept:
            said.append(f"{name}: of the sleep the guard kept {', '.join(kept)}.")
        trouble = [trial.trouble.rstrip(".") for trial in same if trial.trouble]
        said += [f"{name}: {each}." for each in dict.fromkeys(trouble)]
    return tuple(said)


def _by_name(trials: Sequence[SleepTrial]) -> dict[str, list[SleepTrial]]:
    found: dict[str, list[SleepTrial]] = {}
    for trial in trials:
        found.setdefault(trial.name, []).append(trial)
    return found


def _scores(trials: Sequence[SleepTrial]) -> Scores:
    scores = Scores()
    for trial in trials:
        scores.add_(trial.name, trial.table, {row.attack: row.attack for row in trial.table.rows})
    return scores


def _difference(scores: Scores, name: str, system: str, attack: str) -> Difference | None:
    """Return the difference to before the sleep, over the images of all seeds."""
    now, then = scores.get(name, attack, system), scores.get(name, attack, f"{name}: {BEFORE}")
    if now is None or then is None or len(now.pooled) != len(then.pooled):
        return None
    return paired_difference(now.pooled, then.pooled)


def _cell(trials: Sequence[SleepTrial], scores: Scores, name: str, system: str, attack: str) -> Measured:
    said = dict.fromkeys(
        row.status
        for trial in trials
        if trial.name == name
        for row in trial.table.rows
        if (row.system, row.attack) == (system, attack) and row.status != "ok"
    )
    difference = _difference(scores, name, system, attack)
    changed = [str(difference)] if difference is not None and system != f"{name}: {BEFORE}" else []
    measured = scores.measured(name, attack, system) or Measured()
    return Measured(values=measured.values, n=measured.n, status="; ".join((*changed, *said)))


@torch.no_grad()
def _spiking_accuracy(spiking: Path, test: ImageSet) -> Measured:
    network = network_from_checkpoint(load_checkpoint(spiking, kind="spiking"))
    system = SpikingSystem(network, None, num_steps=_SPIKING_STEPS)
    predicted = torch.cat([system(part).argmax(1) for part in test.images.split(_AT_ONCE)])
    share = 100 * float((predicted == test.labels).double().mean())
    return Measured(values=(share,), n=len(test))
