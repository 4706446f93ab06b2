"""Group "peak": how close the kernels come to the additions that the processor can do at all."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sleepdefense.bench.clock import Progress
from sleepdefense.bench.goals import Row, judge, tell
from sleepdefense.bench.operations import count_operations
from sleepdefense.bench.ours import prepare_kernels
from sleepdefense.bench.workload import Workload

GROUP = "peak"
WEIGHT_BYTES = 2
ROW_BYTES = 64 * WEIGHT_BYTES
"""A row: the weights from one visible unit to 64 neurons."""
GATHER = "gather"
"""Phase of a layer in which rows of weights are added."""


def compare_with_peak(
    workload: Workload, *, repeats: int, rounds: int, progress: Progress | None
) -> list[Row]:
    """Measure the peak, the layers and the whole pass in turns; the fastest round of each counts.

    The peak is the fastest loop of additions on a table that fits the first cache, whatever it computes.

    Args:
        workload: The images, each once.
        repeats: How often each is presented, with other spikes.
        rounds: Measured runs of each.
        progress: Told before every run.
    """
    from sleepdefense.kernels.peak import add_peaks
    from sleepdefense.kernels.profile import profile_chain

    batch = workload.repeated(repeats)
    whole = prepare_kernels(batch, learns=False)
    loops: dict[str, float] = {}
    phases: dict[str, float] = {}
    adds: tuple[int, ...] = ()
    pass_seconds = float("inf")
    for number in range(rounds + 1):  # the first is for compiling
        if progress is not None:
            progress(number, rounds + 1, "peak, layers, whole pass")
        peaks = add_peaks("i16")
        profile = profile_chain(
            batch.images,
            batch.index,
            batch.layers,
            seed=batch.seed,
            num_steps=batch.num_steps,
            weight_type="i16",
        )
        seconds = _seconds(whole)
        if number > 0:
            loops = {name: max(loops.get(name, 0.0), value) for name, value in peaks.items()}
            if sum(profile.seconds.values()) < sum(phases.values()) or not phases:
                phases = profile.seconds  # as a whole: some phases are differences
            pass_seconds = min(pass_seconds, seconds)
            adds = profile.adds
    fans = [int(np.prod(layer.weight.shape[1:])) for layer in batch.layers]
    operations = sum(count_operations(batch))
    return judge_peaks(loops, phases, adds, fans, pass_seconds, operations, batch.num_image_steps)


def _seconds(run: Callable[[], Any]) -> float:
    begin = time.thread_time()
    run()
    return time.thread_time() - begin


def _beside_plain(speed: float, loops: dict[str, float]) -> str:
    """Say what share it is of the plain loop, which the bars were set with."""
    plain = loops.get("widening, 16 KB")
    return f"; {100 * speed / plain:.0f} % of the widening loop, which the bar was set with" if plain else ""


def _roof(fan: int, speed: float, loops: dict[str, float]) -> str:
    """Say what share it is of the same loop over a table as large as that of the layer, if there is one."""
    size = fan * ROW_BYTES // 1024
    roof = loops.get(f"kernel, {size} KB")
    share = f"; {100 * speed / roof:.0f} % of the same loop over its {size} KB" if roof else ""
    return f"{share}; {WEIGHT_BYTES * speed / 1e9:.0f} GB/s of weights"


def judge_peaks(
    loops: dict[str, float],
    phases: dict[str, float],
    adds: Sequence[int],
    fans: Sequence[int],
    pass_seconds: float,
    operations: int,
    image_steps: int,
) -> list[Row]:
    """Judge the sums, and tell about all parts.

    Args:
        loops: Name -> adds a second.
        phases: Name -> seconds.
        adds: Of each layer.
        fans: Weights of a neuron of each layer; those of 64 neurons are the table that is gathered from.
        pass_seconds: Of the whole pass.
        operations: Synaptic operations of the whole pass.
        image_steps: Images times steps.
    """
    fastest = max(loops, key=lambda name: loops[name])
    peak = loops[fastest]
    deep = {number: phases[f"S{number + 1} {GATHER}"] for number in range(1, len(adds))}
    layers = float(np.sum(adds[1:])) / sum(deep.values())
    whole = operations / pass_seconds
    note = f"peak: {fastest}, {peak / 1e9:.1f} G adds/s"
    rows = [
        judge("peak-layers", 100 * layers / peak, note + _beside_plain(layers, loops)),
        judge("peak-pass", 100 * whole / peak, note + _beside_plain(whole, loops)),
    ]
    for number, seconds in deep.items():
        speed = adds[number] / seconds
        share = f"{100 * speed / peak:.0f} % of peak"
        rows.append(
            tell(GROUP, f"S{number + 1}", speed / 1e9, "G adds/s", share + _roof(fans[number], speed, loops))
        )
    rows.append(tell(GROUP, "whole pass", whole / 1e9, "G adds/s"))
    for name, value in loops.items():
        shares = f"S2-S4 at {100 * layers / value:.0f} % of it, whole pass at {100 * whole / value:.0f} %"
        rows.append(tell(GROUP, f"loop: {name}", value / 1e9, "G adds/s", shares))
    rows += [
        tell(GROUP, f"phase: {name}", 1e6 * value / image_steps, "CPU us", "of an image and step")
        for name, value in phases.items()
    ]
    return rows
