"""Evaluation: attack systems, count what they still get right, keep every prediction."""

from sleepdefense.evaluation.evaluate import evaluate, evaluate_systems
from sleepdefense.evaluation.files import load_results, save_results
from sleepdefense.evaluation.metrics import wilson_interval
from sleepdefense.evaluation.results import RobustnessTable
from sleepdefense.evaluation.rows import RobustnessRow, WorstCase

__all__ = [
    "RobustnessRow",
    "RobustnessTable",
    "WorstCase",
    "evaluate",
    "evaluate_systems",
    "load_results",
    "save_results",
    "wilson_interval",
]
