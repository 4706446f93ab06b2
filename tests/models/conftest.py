"""Small networks of every kind, and images for them."""

from typing import Any

import pytest
import torch

from sleepdefense.models import MODELS, AbstractAwakeModel, build_model

SMALL_DIM = {"denoiser_width": 16, "width": 12, "bottleneck": 5, "latent": 3, "size": 8}
SMALL_ABS = {"width": 4, "latent": 2, "samples": 20, "num_steps": 3, "size": 16}
SMALL: dict[str, dict[str, Any]] = {
    "defense-vae": {"width": 4, "latent": 6, "size": 8},
    "fc-vae": {"hidden": 12, "latent": 6, "size": 8},
    "c1": {"width": 4, "size": 28},
    "c2": {"width": 4, "size": 8},
    "c3": {"hidden": 12, "size": 8},
    "c4": {"hidden": 12, "size": 8},
    "vanilla-cnn": {"width": 4, "size": 12},
    "saturating-sigmoid-mlp": {"hidden": 12, "size": 8},
    "saturating-relu-mlp": {"hidden": 12, "size": 8},
    "saturating-cnn": {"width": 2, "size": 8},
    "binary-cnn": {"width": 4, "size": 12},
    "dim": SMALL_DIM,
    "bidim": SMALL_DIM,
    "im": SMALL_DIM,
    "single-im": SMALL_DIM,
    "dn-single-im": SMALL_DIM,
    "abs": SMALL_ABS,
    "biabs": SMALL_ABS,
    "madry": {"width": 2, "hidden": 8, "size": 8},
}


APART = {"defense-gan": "it searches, which no trace can follow, and its loss is a game: test_defense_gan.py"}
"""Models that cannot take part in what holds for all others, and why."""


@pytest.fixture(params=sorted(MODELS.keys() - APART.keys()))
def model(request: pytest.FixtureRequest) -> AbstractAwakeModel:
    return build_model(request.param, SMALL[request.param], seed=0)


@pytest.fixture
def image(model: AbstractAwakeModel) -> torch.Tensor:
    size = int(model.settings["size"])
    return torch.rand(5, int(model.settings["channels"]), size, size, generator=_generator(1))


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
