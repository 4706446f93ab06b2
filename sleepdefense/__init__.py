"""Train a network, let it sleep as a spiking network, wake it, and measure honestly what changed.

    import sleepdefense as sd

    train, test = sd.load_data("digits")
    spiking = sd.to_spiking(model, train.images[:512])
    slept = sd.sleep(spiking, train.images, sd.MirroredSTDP())
    woken = sd.to_awake(slept)
    print(sd.evaluate(woken, test, attacks="FGSM,PGD"))

Public names are loaded on first use, so that the command line starts at once.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sleepdefense import models
    from sleepdefense.analysis import compare_reconstructions, evidence_bound, probe_latents
    from sleepdefense.attacks import BPDA, EOT, AnyOf, adversarial_pairs, parse_attacks
    from sleepdefense.checkpoint import load_checkpoint, save_checkpoint
    from sleepdefense.consolidation import STDP, MirroredSTDP, SleepConfig, accuracy_guard, sleep
    from sleepdefense.conversion import conversion_report, to_awake, to_spiking
    from sleepdefense.data import ImageSet, PairSet, load_data
    from sleepdefense.evaluation import (
        RobustnessTable,
        SpikingSystem,
        evaluate,
        evaluate_systems,
        from_art,
        from_foolbox,
        from_numpy,
        load_results,
        train_substitute,
        with_substitutes,
    )
    from sleepdefense.models import Purified, awake_from_file, build_model
    from sleepdefense.spiking import SpikingNetwork, reconstruct, sample, simulate
    from sleepdefense.training import EndToEndConfig, TrainConfig, train, train_classifier, train_end_to_end

__all__ = [
    "BPDA",
    "EOT",
    "STDP",
    "AnyOf",
    "EndToEndConfig",
    "ImageSet",
    "MirroredSTDP",
    "PairSet",
    "Purified",
    "RobustnessTable",
    "SleepConfig",
    "SpikingNetwork",
    "SpikingSystem",
    "TrainConfig",
    "accuracy_guard",
    "adversarial_pairs",
    "awake_from_file",
    "build_model",
    "compare_reconstructions",
    "conversion_report",
    "evaluate",
    "evaluate_systems",
    "evidence_bound",
    "from_art",
    "from_foolbox",
    "from_numpy",
    "load_checkpoint",
    "load_data",
    "load_results",
    "models",
    "parse_attacks",
    "probe_latents",
    "reconstruct",
    "sample",
    "save_checkpoint",
    "simulate",
    "sleep",
    "to_awake",
    "to_spiking",
    "train",
    "train_classifier",
    "train_end_to_end",
    "train_substitute",
    "with_substitutes",
]

_HOMES = {
    "analysis": (
        "compare_reconstructions",
        "evidence_bound",
        "probe_latents",
    ),
    "attacks": (
        "BPDA",
        "EOT",
        "AnyOf",
        "adversarial_pairs",
        "parse_attacks",
    ),
    "checkpoint": (
        "load_checkpoint",
        "save_checkpoint",
    ),
    "consolidation": (
        "STDP",
        "MirroredSTDP",
        "SleepConfig",
        "accuracy_guard",
        "sleep",
    ),
    "conversion": (
        "conversion_report",
        "to_awake",
        "to_spiking",
    ),
    "data": (
        "ImageSet",
        "PairSet",
        "load_data",
    ),
    "evaluation": (
        "RobustnessTable",
        "SpikingSystem",
        "evaluate",
        "evaluate_systems",
        "from_art",
        "from_foolbox",
        "from_numpy",
        "load_results",
        "train_substitute",
        "with_substitutes",
    ),
    "models": (
        "Purified",
        "awake_from_file",
        "build_model",
    ),
    "spiking": (
        "SpikingNetwork",
        "reconstruct",
        "sample",
        "simulate",
    ),
    "training": (
        "EndToEndConfig",
        "TrainConfig",
        "train",
        "train_classifier",
        "train_end_to_end",
    ),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Load a public name on first use."""
    if name == "models":
        return importlib.import_module("sleepdefense.models")
    if name not in _HOME_OF:
        raise AttributeError(f"module 'sleepdefense' has no attribute {name!r}")
    return getattr(importlib.import_module(f"sleepdefense.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
