"""A half-trained network in a file: its weights, and what Adam remembers of each of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sleepdefense.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from sleepdefense.errors import CheckpointError
from sleepdefense.models.saving import check_state_arrays, load_state_arrays_, state_arrays

_AVERAGES = ("exp_avg", "exp_avg_sq")


def save_training(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    identity: Mapping[str, Any],
    losses: list[float],
    scaler: Mapping[str, Any],
) -> None:
    """Write the state of a training, in place of an earlier one. Equal states give equal bytes.

    Args:
        path: The file.
        model: The network; its weights and buffers become "model/NAME".
        optimizer: Its Adam; "adam/NAME/exp_avg", "adam/NAME/exp_avg_sq" and "adam/NAME/step".
        identity: What another training must share to go on from here; JSON.
        losses: Mean loss of each epoch so far.
        scaler: State of the gradient scaler of half precision, or nothing; JSON.
    """
    arrays = {f"model/{name}": array for name, array in state_arrays(model).items()}
    for name, weight in _learning(model):
        for key, value in optimizer.state[weight].items():
            arrays[f"adam/{name}/{key}"] = np.array(value.detach().cpu().contiguous().numpy())
    settings = {"training": dict(identity), "losses": losses, "scaler": dict(scaler)}
    provenance = {"torch": str(torch.__version__)}
    save_checkpoint(
        path, Checkpoint(kind="training", arrays=arrays, settings=settings, provenance=provenance)
    )


def load_training_(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    identity: Mapping[str, Any],
    epochs: int,
) -> tuple[list[float], dict[str, Any]]:
    """Bring a network and its Adam, in place, to the state in a file.

    Args:
        path: A file of `save_training`.
        model: The network, on the device where it is trained. Changed.
        optimizer: Its Adam. Changed.
        identity: What the training in the file must share with this one.
        epochs: How many epochs this one has in all.

    Returns:
        The losses of the epochs so far, and the state of the gradient scaler, empty without one.

    Raises:
        CheckpointError: The file is damaged, or holds another training or a longer one. Nothing has
            changed then.
    """
    found = load_checkpoint(path, kind="training")
    was, losses, scaler = (found.settings.get(key) for key in ("training", "losses", "scaler"))
    if not isinstance(was, dict) or not isinstance(losses, list) or not isinstance(scaler, dict):
        raise CheckpointError(f"'{path}' is malformed: its settings lack 'training', 'losses' or 'scaler'")
    changed = [
        f"{name} was {_short(was.get(name))}, now {_short(value)}"
        for name, value in identity.items()
        if was.get(name) != value
    ]
    if changed:
        raise CheckpointError(
            f"'{path}' holds another training: {'; '.join(changed)}. Resume it as it was, begin anew "
            "(--force), or choose another file"
        )
    if len(losses) > epochs:
        raise CheckpointError(f"'{path}' has {len(losses)} epochs behind it: expected at most {epochs}")
    try:
        _load_arrays_(model, optimizer, found.arrays)
    except CheckpointError as error:
        raise CheckpointError(f"'{path}' is malformed: {error}") from error
    return [float(loss) for loss in losses], scaler


def _load_arrays_(
    model: nn.Module, optimizer: torch.optim.Optimizer, arrays: Mapping[str, NDArray[Any]]
) -> None:
    """Load weights and Adam's state, after comparing all names, types and shapes."""
    weights, moments = _below("model/", arrays), _below("adam/", arrays)
    check_state_arrays(model, weights)
    state: dict[int, dict[str, Tensor]] = {}
    for index, (name, weight) in enumerate(_learning(model)):
        if f"{name}/step" not in moments:  # no loss has reached this weight yet
            continue
        state[index] = {key: _like(weight, f"{name}/{key}", moments) for key in _AVERAGES}
        state[index]["step"] = _like(torch.zeros(()), f"{name}/step", moments)
    if len(weights) + sum(map(len, state.values())) != len(arrays):
        raise CheckpointError("it holds other arrays than those of the network and its Adam")
    load_state_arrays_(model, weights)
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _learning(model: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """Return the weights that are trained, in the order of the optimizer."""
    return [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]


def _below(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return the arrays whose names begin with a prefix, without it."""
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _like(weight: Tensor, name: str, arrays: Mapping[str, NDArray[Any]]) -> Tensor:
    """Return an array with the device and the memory layout of a weight, as the fused kernel requires."""
    array = arrays.get(name)
    if array is None or array.shape != tuple(weight.shape):
        raise CheckpointError(f"array 'adam/{name}' is missing or not of shape {tuple(weight.shape)}")
    return torch.empty_like(weight, requires_grad=False).copy_(torch.from_numpy(np.array(array)))


def _short(value: object) -> str:
    """Return a value for a message; of a digest, the beginning."""
    text = str(value)
    return f"{text[:8]}..." if len(text) == 64 else text
