"""Group "peak": how close the kernels come to the additions that the processor can do at all."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from sleepdefense.bench.clock import Progress
from sleepdefense.bench.goals import Row, judge, tell
from sleepdefense.bench.operations import count_operations
from sleepdefense.bench.ours import prepare_kernels
from sleepdefense.bench.workload import Workload

GROUP = "peak"
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
    return judge_peaks(loops, phases, adds, pass_seconds, sum(count_operations(batch)), batch.num_image_steps)


def _seconds(run: Callable[[], Any]) -> float:
    begin = time.thread_time()
    run()
    return time.thread_time() - begin


def judge_peaks(
    loops: dict[str, float],
    phases: dict[str, float],
    adds: tuple[int, ...],
    pass_seconds: float,
    operations: int,
    image_steps: int,
) -> list[Row]:
    """Judge the sums, and tell about all parts.

    Args:
        loops: Name -> adds a second.
        phases: Name -> seconds.
        adds: Of each layer.
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
        judge("peak-layers", 100 * layers / peak, note),
        judge("peak-pass", 100 * whole / peak, note),
    ]
    for number, seconds in deep.items():
        speed = adds[number] / seconds
        rows.append(
            tell(GROUP, f"S{number + 1}", speed / 1e9, "G adds/s", f"{100 * speed / peak:.0f} % of peak")
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
