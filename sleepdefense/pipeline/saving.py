"""A file that several processes may be about to write: one of them does."""

from pathlib import Path

from sleepdefense.checkpoint import Checkpoint, save_checkpoint
from sleepdefense.consolidation.ranks import joined_ranks


def save_once(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint that several processes may hold: the main one does, and the others wait for it."""
    with joined_ranks() as ranks:
        ranks.on_main(lambda: save_checkpoint(path, checkpoint))
