"""Train, convert, sleep, reconvert, evaluate: the one room that knows all parts."""

from sleepdefense.pipeline.context import Context
from sleepdefense.pipeline.evaluating import evaluate_step
from sleepdefense.pipeline.presets import PRESETS, find_preset
from sleepdefense.pipeline.run import run
from sleepdefense.pipeline.saturating import adversarial_step, saturate_step
from sleepdefense.pipeline.sleeping import sleep_step
from sleepdefense.pipeline.steps import adopt_step, convert_step, train_step, wake_step

__all__ = [
    "PRESETS",
    "Context",
    "adopt_step",
    "adversarial_step",
    "convert_step",
    "evaluate_step",
    "find_preset",
    "run",
    "saturate_step",
    "sleep_step",
    "train_step",
    "wake_step",
]
