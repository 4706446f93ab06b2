"""Awake networks: purifiers, classifiers, and the two together. Loaded on first use."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sleepdefense.models.awake_file import awake_from_file
    from sleepdefense.models.base import AbstractAwakeModel, AbstractClassifier, AbstractPurifier
    from sleepdefense.models.binarised import Binarised, BinaryCNN
    from sleepdefense.models.classifiers import C1, C2, C3, C4
    from sleepdefense.models.defense_gan import DefenseGAN
    from sleepdefense.models.defense_vae import DefenseVAE
    from sleepdefense.models.dim import DIM, IM, BiDIM, DnSingleIM, SingleIM
    from sleepdefense.models.dim_config import DIMConfig
    from sleepdefense.models.ensemble import Ensemble
    from sleepdefense.models.fc_vae import FCVAE
    from sleepdefense.models.madry import MadryCNN
    from sleepdefense.models.purified import Purified
    from sleepdefense.models.registry import MODELS, build_model
    from sleepdefense.models.saturating import ReLUMLP, SaturatingCNN, SigmoidMLP
    from sleepdefense.models.saving import awake_checkpoint, model_from_checkpoint
    from sleepdefense.models.synthesis import ABS, BiABS
    from sleepdefense.models.vanilla_cnn import VanillaCNN

__all__ = [
    "ABS",
    "C1",
    "C2",
    "C3",
    "C4",
    "DIM",
    "FCVAE",
    "IM",
    "MODELS",
    "AbstractAwakeModel",
    "AbstractClassifier",
    "AbstractPurifier",
    "BiABS",
    "BiDIM",
    "Binarised",
    "BinaryCNN",
    "DIMConfig",
    "DefenseGAN",
    "DefenseVAE",
    "DnSingleIM",
    "Ensemble",
    "MadryCNN",
    "Purified",
    "ReLUMLP",
    "SaturatingCNN",
    "SigmoidMLP",
    "SingleIM",
    "VanillaCNN",
    "awake_checkpoint",
    "awake_from_file",
    "build_model",
    "model_from_checkpoint",
]

_HOMES = {
    "awake_file": ("awake_from_file",),
    "base": ("AbstractAwakeModel", "AbstractClassifier", "AbstractPurifier"),
    "binarised": ("Binarised", "BinaryCNN"),
    "classifiers": ("C1", "C2", "C3", "C4"),
    "defense_gan": ("DefenseGAN",),
    "defense_vae": ("DefenseVAE",),
    "ensemble": ("Ensemble",),
    "dim": ("DIM", "IM", "BiDIM", "DnSingleIM", "SingleIM"),
    "dim_config": ("DIMConfig",),
    "fc_vae": ("FCVAE",),
    "madry": ("MadryCNN",),
    "purified": ("Purified",),
    "registry": ("MODELS", "build_model"),
    "saturating": ("ReLUMLP", "SaturatingCNN", "SigmoidMLP"),
    "saving": ("awake_checkpoint", "model_from_checkpoint"),
    "synthesis": ("ABS", "BiABS"),
    "vanilla_cnn": ("VanillaCNN",),
}


def __getattr__(name: str) -> Any:
    """Import the module that holds a public name when the name is first used."""
    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"sleepdefense.models.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
