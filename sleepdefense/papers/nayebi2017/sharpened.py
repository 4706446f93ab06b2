"""An experiment on float32: at which scale of its drives does a network seem to stand the attack?

All logits times ten: every image keeps its class, and every perturbed image too, so the network is as robust
as it was. But the softmax now rounds to zero and one, the cross-entropy has no gradient in float32, and FGSM,
which takes its sign, does nothing. Drives of sigmoid units times ten have the same effect, and change the
classes a little.
"""

import copy
from typing import cast

import torch
from torch import Tensor

from sleepdefense.errors import ConfigError
from sleepdefense.models import AbstractClassifier
from sleepdefense.models.layer_activity import layer_activity
from sleepdefense.papers.nayebi2017.fgsm import under_fgsm
from sleepdefense.papers.nayebi2017.networks import images_of, network
from sleepdefense.papers.nayebi2017.plan import NETWORKS
from sleepdefense.papers.recipe import Job
from sleepdefense.papers.side_by_side import Measured, SideBySide
from sleepdefense.shapes import Images

_FACTORS = (1, 2, 5, 10, 20, 50, 100)
_AMOUNT = {"smoke": 100, "cpu": 2000, "paper": 10_000}
"""Test images."""
_TRAININGS = ("vanilla", "saturated")
_COLUMNS = ("clean", "FGSM 0.25", "zero gradient")


def sharpened(net: AbstractClassifier, images: Images, factor: float) -> AbstractClassifier:
    """Return a copy of a network whose logits, and drives of sigmoid units, are larger.

    Args:
        net: A network of linear maps and convolutions.
        images: Some to find its layers with, (batch, channel, height, width).
        factor: By what to multiply, > 0.

    Raises:
        ConfigError: `factor` is not positive and finite.

    >>> from sleepdefense.models import build_model
    >>> net = build_model("saturating-relu-mlp", {"hidden": 4}, seed=0)
    >>> images = torch.rand(2, 1, 28, 28)
    >>> torch.allclose(sharpened(net, images, 8.0)(images), 8 * net(images))
    True
    """
    if not 0 < factor < float("inf"):
        raise ConfigError(f"factor is {factor}: expected a positive number")
    sharp = copy.deepcopy(net).eval()
    maps = dict(sharp.named_modules())
    with torch.no_grad():
        layers = layer_activity(sharp, images)
        for layer in layers:
            if layer.unit == "sigmoid" or layer is layers[-1]:
                each = maps[layer.name]
                for part in (each.weight, each.bias):
                    cast(Tensor, part).mul_(factor)
    return sharp


def sharpening_sentences(table: SideBySide) -> tuple[str, ...]:
    """Say what the largest factor but one makes of each network."""
    factor = _FACTORS[-2]
    said = []
    for kind in NETWORKS:
        for training in _TRAININGS:
            clean, attacked, zero = (
                table.measured[f"{kind}, {training}, x {factor}", column].mean for column in _COLUMNS
            )
            said.append(
                f"The {training} {kind} with logits and sigmoid drives {factor} times as large classifies "
                f"{clean:.1f} % of the clean images and {attacked:.1f} % under FGSM: {zero:.1f} % have no "
                "gradient."
            )
    return tuple(said)


def sharpening(job: Job, seed: int) -> SideBySide:
    """Multiply the drives of vanilla and saturated networks, and see what FGSM makes of them."""
    test = images_of(job).test.take(_AMOUNT[job.scale])
    cells: dict[tuple[str, str], Measured] = {}
    rows = []
    for kind in NETWORKS:
        for training in _TRAININGS:
            net = network(job, kind, training, seed)
            for factor in _FACTORS:
                rows.append(f"{kind}, {training}, x {factor}")
                sharp = sharpened(net, test.images[:1], factor)
                for column, value in zip(_COLUMNS, under_fgsm(sharp, test), strict=True):
                    cells[rows[-1], column] = value
    return SideBySide(
        name="table1-sharpened",
        title=f"The same networks with larger logits and sigmoid drives, {job.scale} scale, {job.dataset}",
        rows=tuple(rows),
        columns=_COLUMNS,
        measured=cells,
        corner="network",
    )
