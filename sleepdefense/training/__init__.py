"""The awake phase: train networks on noisy and clean images, so that it can be stopped and resumed."""

from sleepdefense.training.adversarial import AdversarialConfig, train_adversarial
from sleepdefense.training.annealing import Annealing, paper_annealing
from sleepdefense.training.awake import train, train_classifier
from sleepdefense.training.config import Progress, TrainConfig, TrainResult
from sleepdefense.training.end_to_end import EndToEndResult, save_end_to_end, train_end_to_end
from sleepdefense.training.joint_loss import EndToEndConfig
from sleepdefense.training.saturating import train_saturating
from sleepdefense.training.saturation_loss import SaturationConfig
from sleepdefense.training.saturation_story import SaturationEpoch, SaturationResult

__all__ = [
    "AdversarialConfig",
    "Annealing",
    "EndToEndConfig",
    "EndToEndResult",
    "Progress",
    "SaturationConfig",
    "SaturationEpoch",
    "SaturationResult",
    "TrainConfig",
    "TrainResult",
    "paper_annealing",
    "save_end_to_end",
    "train",
    "train_adversarial",
    "train_classifier",
    "train_end_to_end",
    "train_saturating",
]
