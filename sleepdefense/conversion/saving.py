"""Spiking networks in checkpoints, and back."""

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from sleepdefense.checkpoint import Checkpoint
from sleepdefense.conversion.to_spiking import assemble
from sleepdefense.errors import CheckpointError
from sleepdefense.models.base import AbstractAwakeModel
from sleepdefense.models.saving import (
    check_state_arrays,
    load_state_arrays_,
    model_from_checkpoint,
    state_arrays,
)
from sleepdefense.models.stages import trace_stages
from sleepdefense.spiking.network import SpikingNetwork

CUSTOM = "custom"
"""Model name of a network that is not one of ours: its class must be given again on loading."""


def spiking_checkpoint(network: SpikingNetwork, *, provenance: Mapping[str, Any]) -> Checkpoint:
    """Describe a spiking network so that `network_from_checkpoint` gives it back, bit for bit.

    Args:
        network: The network; it is only read.
        provenance: Where it comes from. Fit for JSON, without dates.

    Returns:
        A checkpoint of kind "spiking": the awake network, the scales, and for every linear map the master
        weight as it is and as it was converted.
    """
    awake = network.awake
    arrays = {f"awake/{name}": value for name, value in state_arrays(awake).items()}
    for name, weight in network.weights.items():
        arrays[f"weight/{name}"] = weight.cpu().numpy().copy()
        arrays[f"origin/{name}"] = network.origin[name].cpu().numpy().copy()
    scales = {node.name: node.scale for node in network.nodes if node.op == "fire"}
    arrays["scale"] = np.array(list(scales.values()), dtype=np.float64)
    return Checkpoint(
        kind="spiking",
        arrays=arrays,
        settings={
            "model": awake.name if isinstance(awake, AbstractAwakeModel) else CUSTOM,
            "model_settings": dict(awake.settings) if isinstance(awake, AbstractAwakeModel) else {},
            "shape": list(network.nodes[0].shape),
            "units": list(scales),
            "conversion": dict(network.settings),
        },
        provenance=dict(provenance),
    )


def network_from_checkpoint(checkpoint: Checkpoint, *, model: nn.Module | None = None) -> SpikingNetwork:
    """Rebuild the spiking network that a checkpoint describes.

    Args:
        checkpoint: Of kind "spiking".
        model: A network of the class that was converted, needed when it is not one of ours. Only copied.

    Returns:
        The network, on the CPU.

    Raises:
        CheckpointError: The checkpoint is of another kind, needs `model`, or its arrays do not fit.
    """
    if checkpoint.kind != "spiking":
        raise CheckpointError(f"the checkpoint is of kind '{checkpoint.kind}': expected 'spiking'")
    settings, arrays = checkpoint.settings, checkpoint.arrays
    awake = _awake(checkpoint, model)
    try:
        shape = [int(size) for size in settings["shape"]]
        units = [str(name) for name in settings["units"]]
        scales = dict(zip(units, arrays["scale"].tolist(), strict=True))
        network = assemble(
            awake,
            trace_stages(awake, torch.zeros(1, *shape)),
            scales,
            percentile=float(settings["conversion"]["percentile"]),
            num_images=int(settings["conversion"]["calibration_images"]),
        )
        weights = {name: torch.from_numpy(arrays[f"weight/{name}"].copy()) for name in network.weights}
        origin = {name: torch.from_numpy(arrays[f"origin/{name}"].copy()) for name in network.weights}
        return network.with_weights(origin).as_origin().with_weights(weights)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"the checkpoint describes no spiking network of this release: {error}"
        ) from error


def _awake(checkpoint: Checkpoint, model: nn.Module | None) -> nn.Module:
    name = checkpoint.settings.get("model")
    state = {
        key.removeprefix("awake/"): value
        for key, value in checkpoint.arrays.items()
        if key.startswith("awake/")
    }
    if name != CUSTOM:
        awake: nn.Module = model_from_checkpoint(
            Checkpoint(
                kind="awake",
                arrays=state,
                settings={key: checkpoint.settings.get(key) for key in ("model", "model_settings")},
                provenance={},
            )
        )
        return awake.requires_grad_(False)
    if model is None:
        raise CheckpointError("the checkpoint holds a network of your own: pass one of its class as 'model'")
    awake = copy.deepcopy(model).cpu().eval()
    check_state_arrays(awake, state)
    load_state_arrays_(awake, state)
    return awake.requires_grad_(False)
