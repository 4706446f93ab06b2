"""The awake network in a file: our checkpoint, or weights that others have published."""

from pathlib import Path

from sleepdefense.checkpoint import load_checkpoint
from sleepdefense.models.base import AbstractAwakeModel
from sleepdefense.models.public_weights import find_public_weights, load_public_weights
from sleepdefense.models.saving import model_from_checkpoint


def awake_from_file(path: Path | str) -> AbstractAwakeModel:
    """Load the network in a file.

    Args:
        path: A checkpoint of kind "awake", or one of `PUBLIC_WEIGHTS`.

    Returns:
        The model, in evaluation mode, on the CPU.

    Raises:
        CheckpointError: There is no such file, or it is damaged, of another kind, no known file, or holds a
            network that cannot be built here.
    """
    path = Path(path)
    if is_published(path):
        return load_public_weights(path)
    return model_from_checkpoint(load_checkpoint(path, kind="awake"))


def is_published(path: Path) -> bool:
    """Tell whether a file holds published weights, and is no checkpoint of ours.

    Raises:
        CheckpointError: There is no such file, or it is a pickle that is not known.
    """
    return find_public_weights(path) is not None
