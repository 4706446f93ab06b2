"""Numba kernels of the sleep phase: encode, integrate, compete, learn. NumPy arrays in and out, no torch."""

if __name__ != "sleepdefense.kernels":
    raise ImportError("import sleepdefense.kernels: the folder `kernels` is only its home")

from sleepdefense.kernels.chain import ChainLayer
from sleepdefense.kernels.collect import SleepRecord
from sleepdefense.kernels.encode import bernoulli_train
from sleepdefense.kernels.integrate import Competition, Sleeper, sleep_images
from sleepdefense.kernels.kwta import select_winners
from sleepdefense.kernels.pack import WeightType
from sleepdefense.kernels.stdp import count_coincidences_, count_pairings_

__all__ = [
    "ChainLayer",
    "Competition",
    "SleepRecord",
    "Sleeper",
    "WeightType",
    "bernoulli_train",
    "count_coincidences_",
    "count_pairings_",
    "select_winners",
    "sleep_images",
]
