"""Numba kernels of the sleep phase: encode, integrate, compete, learn. NumPy arrays in and out, no torch."""

if __name__ != "sleepdefense.kernels":
    raise ImportError("import sleepdefense.kernels: the folder `kernels` is only its home")

from sleepdefense.kernels.chain import ChainLayer
from sleepdefense.kernels.collect import SleepRecord
from sleepdefense.kernels.counters import measure_features_, sum_counts
from sleepdefense.kernels.encode import bernoulli_train
from sleepdefense.kernels.extent import WeightType
from sleepdefense.kernels.integrate import Competition, Sleeper, sleep_images
from sleepdefense.kernels.kwta import select_winners
from sleepdefense.kernels.rounding import round_features_
from sleepdefense.kernels.stdp import count_coincidences_, count_pairings_
from sleepdefense.kernels.sums import sum_squares, total
from sleepdefense.kernels.update import (
    UpdateRule,
    WeightDependence,
    apply_changes_,
    find_changes_,
    update_rule,
)

__all__ = [
    "ChainLayer",
    "Competition",
    "SleepRecord",
    "Sleeper",
    "UpdateRule",
    "WeightDependence",
    "WeightType",
    "apply_changes_",
    "bernoulli_train",
    "count_coincidences_",
    "count_pairings_",
    "find_changes_",
    "measure_features_",
    "round_features_",
    "select_winners",
    "sleep_images",
    "sum_counts",
    "sum_squares",
    "total",
    "update_rule",
]
