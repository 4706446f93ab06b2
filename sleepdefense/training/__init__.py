"""The awake phase: train a network on noisy and clean images, so that it can be stopped and resumed."""

from sleepdefense.training.awake import train, train_classifier
from sleepdefense.training.config import Progress, TrainConfig, TrainResult

__all__ = ["Progress", "TrainConfig", "TrainResult", "train", "train_classifier"]
