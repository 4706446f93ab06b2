"""Evaluation: attack systems, count what they still get right, keep every prediction.

What makes a system of something else (a spiking network, a model of other tools) is imported on first use.
"""

import importlib
from typing import TYPE_CHECKING, Any

from sleepdefense.evaluation.evaluate import evaluate, evaluate_systems, results_so_far
from sleepdefense.evaluation.files import load_results, save_results
from sleepdefense.evaluation.metrics import wilson_interval
from sleepdefense.evaluation.results import RobustnessTable
from sleepdefense.evaluation.rows import RobustnessRow, WorstCase

if TYPE_CHECKING:
    from sleepdefense.evaluation.adapters import from_art, from_foolbox, from_numpy
    from sleepdefense.evaluation.spiking_system import SpikingSystem
    from sleepdefense.evaluation.substitutes import SubstituteConfig, train_substitute, with_substitutes

__all__ = [
    "RobustnessRow",
    "RobustnessTable",
    "SpikingSystem",
    "SubstituteConfig",
    "WorstCase",
    "evaluate",
    "evaluate_systems",
    "from_art",
    "from_foolbox",
    "from_numpy",
    "load_results",
    "results_so_far",
    "save_results",
    "train_substitute",
    "wilson_interval",
    "with_substitutes",
]

_HOMES = {
    "adapters": ("from_art", "from_foolbox", "from_numpy"),
    "spiking_system": ("SpikingSystem",),
    "substitutes": ("SubstituteConfig", "train_substitute", "with_substitutes"),
}


def __getattr__(name: str) -> Any:
    """Import the module that holds a public name when the name is first used."""
    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"sleepdefense.evaluation.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
