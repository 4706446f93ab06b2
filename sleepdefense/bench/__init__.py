"""Benchmarks: how fast the package is, beside others that do the same work and beside its own bars."""

from sleepdefense.bench.goals import GOALS, GROUPS, Row
from sleepdefense.bench.kernels import Measured, bench_kernels
from sleepdefense.bench.opponent import NO_WINNERS, Opponent, Outcome
from sleepdefense.bench.workload import Workload

__all__ = [
    "GOALS",
    "GROUPS",
    "NO_WINNERS",
    "Measured",
    "Opponent",
    "Outcome",
    "Row",
    "Workload",
    "bench_kernels",
]
