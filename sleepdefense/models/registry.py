"""Models by name, for the command line and for checkpoints."""

from collections.abc import Mapping
from typing import Any

import torch

from sleepdefense.errors import ConfigError
from sleepdefense.models.base import AbstractAwakeModel
from sleepdefense.models.binarised import BinaryCNN
from sleepdefense.models.classifiers import C1, C2, C3, C4
from sleepdefense.models.defense_gan import DefenseGAN
from sleepdefense.models.defense_vae import DefenseVAE
from sleepdefense.models.dim import DIM, IM, BiDIM, DnSingleIM, SingleIM
from sleepdefense.models.fc_vae import FCVAE
from sleepdefense.models.madry import MadryCNN
from sleepdefense.models.saturating import ReLUMLP, SaturatingCNN, SigmoidMLP
from sleepdefense.models.settings import check_keywords
from sleepdefense.models.synthesis import ABS, BiABS
from sleepdefense.models.vanilla_cnn import VanillaCNN

MODELS: dict[str, type[AbstractAwakeModel]] = {
    model.name: model
    for model in (
        DefenseVAE,
        FCVAE,
        DefenseGAN,
        C1,
        C2,
        C3,
        C4,
        VanillaCNN,
        BinaryCNN,
        SigmoidMLP,
        ReLUMLP,
        SaturatingCNN,
        DIM,
        BiDIM,
        IM,
        SingleIM,
        DnSingleIM,
        ABS,
        BiABS,
        MadryCNN,
    )
}
"""Every model that can be trained, saved and loaded by name."""


def build_model(name: str, settings: Mapping[str, Any], *, seed: int) -> AbstractAwakeModel:
    """Build a model whose first weights are a function of its settings and a seed alone.

    Args:
        name: A key of `MODELS`.
        settings: Keywords of its constructor; what is missing takes its default.
        seed: Where the weights come from. The global random state is left as it was.

    Returns:
        The model, in training mode, on the CPU.

    Raises:
        ConfigError: The name or a setting is unknown, or a value is out of range.

    >>> build_model("c4", {"hidden": 32}, seed=0).settings
    {'hidden': 32, 'channels': 1, 'size': 28, 'num_classes': 10, 'attributes': 0}
    """
    if name not in MODELS:
        raise ConfigError(f"there is no model '{name}': expected one of {', '.join(MODELS)}")
    model: Any = MODELS[name]
    check_keywords(name, model, settings)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        built: AbstractAwakeModel = model(**settings)
    return built
