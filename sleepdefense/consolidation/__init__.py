"""Consolidation: what a network learns, or forgets, while it sleeps."""

from sleepdefense.consolidation.config import SleepConfig
from sleepdefense.consolidation.controls import CONTROLS
from sleepdefense.consolidation.diary import SleepDiary
from sleepdefense.consolidation.guard import Guard, accuracy_guard, reconstruction_guard
from sleepdefense.consolidation.rules import RULES, STDP, AbstractRule, MirroredSTDP
from sleepdefense.consolidation.sleeping import Slept, sleep
from sleepdefense.consolidation.state import load_diary

__all__ = [
    "CONTROLS",
    "RULES",
    "STDP",
    "AbstractRule",
    "Guard",
    "MirroredSTDP",
    "SleepConfig",
    "SleepDiary",
    "Slept",
    "accuracy_guard",
    "load_diary",
    "reconstruction_guard",
    "sleep",
]
