"""The models on colour images of 64x64 pixels, for which the paper gives no network of its own."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from sleepdefense.consolidation import STDP, MirroredSTDP, SleepConfig, sleep
from sleepdefense.conversion import to_awake, to_spiking
from sleepdefense.models import AbstractClassifier, build_model

SMALL: dict[str, dict[str, Any]] = {
    "defense-vae": {"width": 2, "latent": 4},
    "c1": {"width": 2, "num_classes": 2},
    "c2": {"width": 2, "num_classes": 4},
    "c3": {"hidden": 8, "num_classes": 16},
    "c4": {"hidden": 8, "num_classes": 64},
}
"""Genders, and the joint classes of 2, 4 and 6 attributes."""


@torch.no_grad()
def _shapes(layers: nn.Sequential) -> list[tuple[int, ...]]:
    """Return the output shapes of the layers with weights for one image."""
    image = torch.zeros(1, 3, 64, 64)
    shapes = []
    for layer in layers:
        image = layer(image)
        if isinstance(layer, nn.Conv2d | nn.Linear):
            shapes.append(tuple(image.shape[1:]))
    return shapes


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("c1", [(64, 32, 32), (128, 14, 14), (128, 10, 10), (2,)]),
        ("c2", [(128, 64, 64), (64, 30, 30), (128,), (2,)]),
        ("c3", [(200,), (200,), (2,)]),
        ("c4", [(200,), (200,), (2,)]),
    ],
)
def test_classifiers_keep_their_layers(name: str, shapes: list[tuple[int, ...]]) -> None:
    model: Any = build_model(name, {"channels": 3, "size": 64, "num_classes": 2}, seed=0).eval()
    assert _shapes(model.layers) == shapes


@torch.no_grad()
def test_purifier_keeps_its_layers() -> None:
    """Four stages as on 28 pixels, each with a transposed twin, on larger maps."""
    vae: Any = build_model("defense-vae", {"channels": 3, "size": 64}, seed=0).eval()
    assert _shapes(vae.encoder) == [(64, 64, 64), (64, 34, 34), (128, 17, 17), (256, 8, 8)]
    assert vae.mean.weight.shape == (128, 256 * 8 * 8)
    twins = [layer for layer in vae.decoder if isinstance(layer, nn.ConvTranspose2d)]
    convs = [layer for layer in vae.encoder if isinstance(layer, nn.Conv2d)]
    for conv, twin in zip(convs, reversed(twins), strict=True):
        assert conv.weight.shape == twin.weight.shape
    assert vae(torch.zeros(1, 3, 64, 64)).shape == (1, 3, 64, 64)


@pytest.fixture(scope="module")
def images() -> Tensor:
    """Smooth colours."""
    coarse = torch.rand(8, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    return interpolate(coarse, size=(64, 64), mode="bilinear").clamp(0, 1)


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_a_nap_moves_the_stages_that_sleep_and_no_other(name: str, images: Tensor) -> None:
    """To spiking, asleep for one batch, and awake again."""
    model = build_model(name, {"channels": 3, "size": 64, **SMALL[name]}, seed=0).eval()
    is_classifier = isinstance(model, AbstractClassifier)
    slept = sleep(
        to_spiking(model, images),
        images,
        STDP() if is_classifier else MirroredSTDP(),
        config=SleepConfig(num_steps=8, max_images=8, batch_size=8, max_batch_change=0.01),
        threads=1,
    )
    woken = to_awake(slept)
    assert woken(images).shape == ((8, SMALL[name]["num_classes"]) if is_classifier else images.shape)
    moved = set()
    before = dict(model.named_parameters())
    for key, weight in woken.named_parameters():
        change = ((weight - before[key]).norm() / before[key].norm().clamp(min=1e-9)).item()
        assert change < 0.02
        if change:
            moved.add(key)
    layers = [key for key, weight in before.items() if key.endswith("weight") and weight.ndim > 1]
    still = {layers[-1]} if is_classifier else {"mean.weight", "log_variance.weight", "expand.0.weight"}
    assert moved == set(layers) - still
