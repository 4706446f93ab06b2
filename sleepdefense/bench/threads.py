"""Group "threads": what a second thread gives, and what this machine gives to a second thread at all."""

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from sleepdefense.bench.clock import Progress, time_in_turns
from sleepdefense.bench.goals import Row, judge, tell
from sleepdefense.bench.ours import prepare_kernels
from sleepdefense.bench.workload import Workload
from sleepdefense.kernels.peak import prepare_gather, spin

GROUP = "threads"
_IDLE = 0.5
"""Load average up to which a machine counts as idle."""
_SPINS = 5 * 10**7
_GATHERS = 5000
_STAT = Path("/proc/stat")


@dataclass(slots=True)
class _Run:
    """A contestant that notes, of its fastest run, the seconds on the wall and of all threads together."""

    work: Callable[[], object]
    wall: float = float("inf")
    busy: float = float("inf")

    def __call__(self) -> None:
        wall, busy = time.perf_counter(), time.process_time()
        self.work()
        wall, busy = time.perf_counter() - wall, time.process_time() - busy
        if wall < self.wall:
            self.wall, self.busy = wall, busy


def add_thread(workload: Workload, *, repeats: int, rounds: int, progress: Progress | None) -> list[Row]:
    """Time two threads against one, by the clock on the wall, and beside them loops that share nothing.

    The controls do the same work twice, one after the other, or at once in two threads, each on a core of its
    own: additions in registers, which only the clock rate and other guests of the machine can slow; rows of
    weights in the second-level cache; and two sleeps of half the batch that share neither weights nor queue.

    Args:
        workload: The images, each once.
        repeats: How often each is presented, with other spikes.
        rounds: Measured runs of each.
        progress: Told before every run.
    """
    cores = _cores()
    if len(cores) < 2:
        return [judge("threads", None, "not measured: one core only")]
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    batch = workload.repeated(repeats)
    runs = {
        f"ours {threads}": _Run(prepare_kernels(batch, learns=True, threads=threads)) for threads in (1, 2)
    }
    for name, pair in _controls(batch).items():
        runs[f"{name} 1"] = _Run(partial(_one_by_one, pair))
        runs[f"{name} 2"] = _Run(partial(_side_by_side, pair, cores))
    before = _ticks()
    time_in_turns(runs, rounds=rounds, clock=time.perf_counter, progress=progress)
    after = _ticks()
    gains = {name[:-2]: runs[name].wall / runs[f"{name[:-1]}2"].wall for name in runs if name.endswith("1")}
    # One busy thread is this very benchmark.
    busy = load > 1 + _IDLE
    note = (
        f"winners per image; load {load:.1f} before{': not judged, the machine is not idle' if busy else ''}"
    )
    rows = [judge("threads", gains.pop("ours"), note, is_judged=not busy)]
    more = runs["ours 2"].busy / runs["ours 1"].busy
    figure = "the same work, CPU seconds of two threads / of one"
    rows.append(tell(GROUP, figure, more, "x", "1: none slows the other"))
    rows += [tell(GROUP, f"control: {name}", gain, "x", "a core each") for name, gain in gains.items()]
    if before is not None and after is not None:
        stolen = 100 * (after[1] - before[1]) / max(1, after[0] - before[0])
        rows.append(tell(GROUP, "time that other guests took", stolen, "%", "steal in /proc/stat, meanwhile"))
    return rows


def _controls(batch: Workload) -> dict[str, tuple[Callable[[], object], Callable[[], object]]]:
    """Return pairs of equal works that share no memory."""
    half = len(batch.images) // 2
    parts = [replace(batch, images=batch.images[part], index=batch.index[part]) for part in _halves(half)]
    asleep = [prepare_kernels(part, learns=True) for part in parts]
    gathers = [prepare_gather(128, repeats=_GATHERS) for _ in range(2)]
    return {
        "two sleeps that share nothing": (asleep[0], asleep[1]),
        "rows in the second-level cache": (gathers[0], gathers[1]),
        "additions in registers": (lambda: spin(_SPINS), lambda: spin(_SPINS)),
    }


def _halves(size: int) -> tuple[slice, slice]:
    return slice(0, size), slice(size, 2 * size)


def _cores() -> list[int]:
    """Return the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _one_by_one(pair: Sequence[Callable[[], object]]) -> None:
    for work in pair:
        work()


def _side_by_side(pair: Sequence[Callable[[], object]], cores: Sequence[int]) -> None:
    """Run two works at once, each in a thread that stays on its core where the system can do that."""

    def run(work: Callable[[], object], core: int) -> None:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {core})  # of this thread, which ends with the pool
        work()

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(run, work, core) for work, core in zip(pair, cores, strict=False)]:
            done.result()


def _ticks() -> tuple[int, int] | None:
    """Return how long all cores together have been up, and how much of that other guests took; or None."""
    try:
        total, *_ = _STAT.read_text().splitlines()
        ticks = [int(number) for number in total.split()[1:]]
    except (OSError, ValueError):
        return None
    return (sum(ticks[:8]), ticks[7]) if len(ticks) >= 8 else None
