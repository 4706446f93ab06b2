"""The benchmark of the sleep kernels, group by group."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sleepdefense.bench.clock import Progress
from sleepdefense.bench.fresh_process import compile_kernels, weigh_memory
from sleepdefense.bench.goals import GROUPS, Row, missing
from sleepdefense.bench.learning import measure_learning
from sleepdefense.bench.machine import describe_machine, load_average
from sleepdefense.bench.network import TABLE_3
from sleepdefense.bench.opponent import Missing, Opponent, load_opponents
from sleepdefense.bench.peak import compare_with_peak
from sleepdefense.bench.rates import DENSE, sweep
from sleepdefense.bench.scaling import vary_steps
from sleepdefense.bench.threads import add_thread
from sleepdefense.bench.versus import compare
from sleepdefense.bench.workload import (
    WEIGHT_TYPES,
    Picked,
    Workload,
    firing_rates,
    make_workload,
    pick_images,
)
from sleepdefense.errors import ConfigError

RATE = 0.05
"""Spikes of a neuron and step, where nothing else is said."""
RATES = (0.01, 0.02, RATE, 0.10, 0.20, 0.30)
NUM_STEPS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How long the benchmark takes.

    Attributes:
        images: Different images.
        repeats: How often ours presents each of them in a batch, with other spikes.
        rounds: Measured runs of each contestant.
        rates: Firing rates of the sweep.
        weight_types: Those that are compiled from nothing.
    """

    images: int
    repeats: int
    rounds: int
    rates: tuple[float, ...]
    weight_types: tuple[str, ...]


FULL = Size(images=8, repeats=8, rounds=5, rates=RATES, weight_types=tuple(WEIGHT_TYPES))
QUICK = Size(images=4, repeats=4, rounds=2, rates=tuple(DENSE), weight_types=("i16",))


_SLOW = ("compile",)
"""Groups that a quick run leaves out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What came out.

    Attributes:
        rows: Judged and told figures.
        machine: From `describe_machine`.
        load: Load averages before and after.
        workload: What was simulated.
        is_quick: Few rounds on few images: a miss may be chance.
    """

    rows: tuple[Row, ...]
    machine: dict[str, Any]
    load: dict[str, list[float] | None]
    workload: dict[str, Any]
    is_quick: bool

    def to_json(self) -> dict[str, Any]:
        """Return everything, fit for JSON."""
        return {
            "benchmark": "kernels",
            "format": 1,
            "quick": self.is_quick,
            "machine": self.machine,
            "load_average": self.load,
            "workload": self.workload,
            "rows": [row.to_json() for row in self.rows],
        }


def bench_kernels(
    *,
    groups: Sequence[str] | None = None,
    quick: bool = False,
    data_dir: Path | None = None,
    opponents: Sequence[Path] = (),
    progress: Progress | None = None,
) -> Measured:
    """Measure the sleep kernels on stages S1 to S4 of the paper, and hold the figures against their bars.

    Args:
        groups: Names from `GROUPS`; None: all, in a quick run without compiling anew.
        quick: A few rounds on a few images, in about a minute.
        data_dir: Folder that holds MNIST; else it is looked for where the package keeps data.
        opponents: Python files as in the folder benchmarks.
        progress: Told what is going on.

    Raises:
        ConfigError: A group is unknown, or a file of opponents is none.
        DataError: `data_dir` holds no MNIST.
        UnfinishedError: A process of the benchmark failed.
    """
    if unknown := [name for name in groups or () if name not in GROUPS]:
        raise ConfigError(f"there is no group {unknown[0]!r}: expected some of {', '.join(GROUPS)}")
    left_out = _SLOW if quick and groups is None else ()
    chosen = [name for name in GROUPS if name not in left_out and (groups is None or name in groups)]
    size = QUICK if quick else FULL
    others = [each for path in opponents for each in _loaded(path)]
    before = load_average()
    picked = pick_images(size.images, data_dir)
    workload = _workload(picked, RATE, WEIGHT_TYPES["i16"])
    rows: list[Row] = []
    measures = _measures(workload, picked, size, others)
    for name in chosen:
        rows += measures[name](_within(progress, name))
    rows += missing(rows, chosen, "not measured: give --opponent benchmarks/spyketorch.py")
    rows += missing(rows, left_out, "left out of a quick run: --only compile")
    return Measured(
        rows=tuple(sorted(rows, key=lambda row: GROUPS.index(row.group))),
        machine=describe_machine(),
        load={"before": before, "after": load_average()},
        workload=_facts(workload, picked, size),
        is_quick=quick,
    )


def _measures(
    workload: Workload, picked: Picked, size: Size, others: Sequence[Opponent | Missing]
) -> dict[str, Callable[[Progress | None], list[Row]]]:
    """Return what measures each group."""
    rounds, repeats = size.rounds, size.repeats

    def rates(progress: Progress | None) -> list[Row]:
        units = dict.fromkeys(WEIGHT_TYPES.values())
        workloads = {
            (rate, unit): workload if (rate, unit) == (RATE, workload.unit) else _workload(picked, rate, unit)
            for rate in size.rates
            for unit in units
        }
        return sweep(workloads, repeats=repeats, rounds=rounds, progress=progress)

    return {
        "opponents": lambda tell: compare(workload, others, repeats=repeats, rounds=rounds, progress=tell),
        "rates": rates,
        "peak": lambda tell: compare_with_peak(workload, repeats=repeats, rounds=rounds, progress=tell),
        "learning": lambda tell: measure_learning(workload, repeats=repeats, rounds=rounds, progress=tell),
        "steps": lambda tell: vary_steps(workload, rounds=rounds, progress=tell),
        "threads": lambda tell: add_thread(workload, repeats=2 * repeats, rounds=rounds, progress=tell),
        "compile": lambda tell: compile_kernels(size.weight_types),
        "memory": lambda tell: weigh_memory(workload),
    }


def _workload(picked: Picked, rate: float, unit: int) -> Workload:
    return make_workload(picked.images, TABLE_3, unit=unit, num_steps=NUM_STEPS, rate=rate)


def _loaded(path: Path) -> tuple[Opponent | Missing, ...]:
    found = load_opponents(path)
    return (found,) if isinstance(found, Missing) else found


def _within(progress: Progress | None, group: str) -> Progress | None:
    """Put the name of the group before each text."""
    if progress is None:
        return None
    progress(0, 1, group)
    return lambda done, total, text: progress(done, total, f"{group}: {text}")


def _facts(workload: Workload, picked: Picked, size: Size) -> dict[str, Any]:
    return {
        "network": "S1-S4 of Talafha et al. 2023, Table 3; weights u^2 on a grid of 2^-13",
        "images": picked.source,
        "different_images": size.images,
        "batch": size.images * size.repeats,
        "steps": workload.num_steps,
        "rounds": size.rounds,
        "seed": workload.seed,
        "firing_rates": [round(rate, 4) for rate in firing_rates(workload)],
        "thresholds": [layer.threshold for layer in workload.layers],
    }
