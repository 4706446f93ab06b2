"""The awake phase: train networks on noisy and clean images, so that it can be stopped and resumed."""

from sleepdefense.training.awake import train, train_classifier
from sleepdefense.training.config import Progress, TrainConfig, TrainResult
from sleepdefense.training.end_to_end import EndToEndResult, save_end_to_end, train_end_to_end
from sleepdefense.training.joint_loss import EndToEndConfig

__all__ = [
    "EndToEndConfig",
    "EndToEndResult",
    "Progress",
    "TrainConfig",
    "TrainResult",
    "save_end_to_end",
    "train",
    "train_classifier",
    "train_end_to_end",
]
