"""What a run keeps for its report: spike rasters, rows of images, the comparison of both networks."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sleepdefense.checkpoint import Checkpoint, save_checkpoint, write_text_atomic
from sleepdefense.conversion import ConversionReport
from sleepdefense.evaluation import RobustnessTable
from sleepdefense.spiking import Moment, SpikingNetwork, simulate

RASTER_NEURONS = 60
RASTER_STEPS = 48


@torch.no_grad()
def raster(network: SpikingNetwork, image: Tensor, *, seed: int) -> dict[str, NDArray[np.uint8]]:
    """Return the spikes of some neurons of every firing layer while one image is presented.

    Args:
        network: The network.
        image: (1, *unit), in [0, 1].
        seed: Of the input spikes.

    Returns:
        Layer -> spikes, (time, neuron), neurons taken at equal distances.
    """
    spikes: dict[str, list[NDArray[np.uint8]]] = {node.name: [] for node in network.firing}

    def observe(moment: Moment) -> None:
        for name, rows in spikes.items():
            if name in moment.signals and network.node(name).phase == moment.phase:
                flat = moment.signals[name].flatten()
                chosen = torch.linspace(0, len(flat) - 1, min(RASTER_NEURONS, len(flat))).long()
                rows.append(flat[chosen].abs().to(torch.uint8).cpu().numpy())

    simulate(network, image, num_steps=RASTER_STEPS, encoder="bernoulli", seed=seed, observe=observe)
    return {name: np.stack(rows) for name, rows in spikes.items()}


def save_rasters(
    path: Path, before: SpikingNetwork, after: SpikingNetwork, image: Tensor, *, seed: int
) -> None:
    """Write the rasters before and after a sleep."""
    arrays: dict[str, NDArray[Any]] = {}
    for when, network in (("before", before), ("after", after)):
        arrays |= {f"{when}/{name}": spikes for name, spikes in raster(network, image, seed=seed).items()}
    save_checkpoint(path, Checkpoint(kind="results", arrays=arrays, settings={}, provenance={"seed": seed}))


def save_conversion(path: Path, report: ConversionReport) -> None:
    """Write the comparison of the spiking network with the awake one as JSON."""
    write_text_atomic(path, json.dumps(asdict(report), indent=1, sort_keys=True) + "\n")


@torch.no_grad()
def save_samples(
    path: Path,
    table: RobustnessTable,
    clean: Tensor,
    labels: Tensor,
    *,
    system: str,
    purifiers: Mapping[str, nn.Module],
) -> None:
    """Write a few clean images and what became of them: attacked, purified, purified after sleep.

    Args:
        path: Where to.
        table: Holds the attacked images.
        clean: (sample, channel, height, width).
        labels: (sample,).
        system: Whose rows are shown: the attacks that see the classifier only.
        purifiers: Name in the file -> purifier; empty if the network is a classifier.
    """
    count = table.sample_images.shape[1]
    arrays: dict[str, NDArray[Any]] = {
        "clean": clean[:count].cpu().numpy(),
        "label": labels[:count].cpu().numpy(),
    }
    for number, row in enumerate(table.rows):
        if row.system != system or row.is_error or row.attack == "clean":
            continue
        attacked = torch.from_numpy(table.sample_images[number].copy())
        arrays[f"{row.key}/attacked"] = attacked.numpy()
        for name, purifier in purifiers.items():
            arrays[f"{row.key}/{name}"] = purifier(attacked).cpu().numpy()
    save_checkpoint(path, Checkpoint(kind="results", arrays=arrays, settings={}, provenance={}))
