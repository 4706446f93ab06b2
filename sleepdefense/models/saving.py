"""Awake networks in checkpoints, and back."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from sleepdefense.checkpoint import Checkpoint
from sleepdefense.errors import CheckpointError, ConfigError
from sleepdefense.models.base import AbstractAwakeModel
from sleepdefense.models.registry import build_model


def awake_checkpoint(model: AbstractAwakeModel, *, provenance: Mapping[str, Any]) -> Checkpoint:
    """Describe a model so that `model_from_checkpoint` gives it back, bit for bit.

    Args:
        model: The model; it is only read.
        provenance: Where it comes from: command, seed, versions, digests. Fit for JSON, without dates.

    Returns:
        A checkpoint of kind "awake", ready for `save_checkpoint`.
    """
    return Checkpoint(
        kind="awake",
        arrays=state_arrays(model),
        settings={"model": model.name, "model_settings": dict(model.settings)},
        provenance=dict(provenance),
    )


def model_from_checkpoint(checkpoint: Checkpoint) -> AbstractAwakeModel:
    """Rebuild the model that a checkpoint describes.

    Returns:
        The model, in evaluation mode, on the CPU.

    Raises:
        CheckpointError: The checkpoint is of another kind, its settings name no model of ours, or its
            arrays are not those of the model.
    """
    if checkpoint.kind != "awake":
        raise CheckpointError(f"the checkpoint is of kind '{checkpoint.kind}': expected 'awake'")
    name, settings = checkpoint.settings.get("model"), checkpoint.settings.get("model_settings")
    if not isinstance(name, str) or not isinstance(settings, dict):
        raise CheckpointError(
            "the settings of the checkpoint must hold 'model', a name, and 'model_settings', an object; "
            f"got {name!r} and {settings!r}"
        )
    try:
        with torch.device("meta"):  # settings from a file may ask for any amount of memory: shapes first
            model = build_model(name, settings, seed=0)
    except ConfigError as error:
        raise CheckpointError(f"the checkpoint describes no model of this release: {error}") from error
    except (RuntimeError, TypeError, OverflowError) as error:  # what torch makes of a shape beyond 64 bits
        raise CheckpointError(f"the checkpoint describes a model beyond any memory: {settings}") from error
    check_state_arrays(model, checkpoint.arrays)
    model.to_empty(device="cpu")
    load_state_arrays_(model, checkpoint.arrays)
    return model.eval()


def state_arrays(module: nn.Module) -> dict[str, NDArray[Any]]:
    """Return copies of all weights and buffers by name."""
    return {
        name: np.array(value.detach().cpu().contiguous().numpy())
        for name, value in module.state_dict().items()
    }


def check_state_arrays(module: nn.Module, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Compare arrays with the weights and buffers of a module.

    Raises:
        CheckpointError: An array is missing, left over, or of another shape or type.
    """
    state = module.state_dict()
    missing = [name for name in state if name not in arrays]
    extra = [name for name in arrays if name not in state]
    if missing or extra:
        raise CheckpointError(
            "the arrays are not those of the model: "
            f"missing are {_listed(missing)}, left over are {_listed(extra)}"
        )
    for name, value in state.items():
        expected = (tuple(value.shape), str(value.dtype).removeprefix("torch."))
        found = (arrays[name].shape, arrays[name].dtype.name)
        if found != expected:
            raise CheckpointError(
                f"array '{name}' is of shape {found[0]} and type {found[1]}: "
                f"expected {expected[0]} and {expected[1]}"
            )


@torch.no_grad()
def load_state_arrays_(module: nn.Module, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Overwrite all weights and buffers of a module, in place, with arrays that fit (see above)."""
    for name, value in module.state_dict().items():
        value.copy_(torch.from_numpy(np.array(arrays[name])))


def _listed(names: list[str]) -> str:
    """Return up to five names for a message."""
    if not names:
        return "none"
    shown = ", ".join(f"'{name}'" for name in names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"
