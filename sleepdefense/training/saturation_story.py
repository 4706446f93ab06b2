"""What happened in a saturating training, which epoch to keep, and when to go back."""

import copy
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sleepdefense.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from sleepdefense.errors import CheckpointError
from sleepdefense.models.base import AbstractClassifier
from sleepdefense.models.saving import check_state_arrays, load_state_arrays_, state_arrays
from sleepdefense.training.saturation_loss import SaturationConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class SaturationEpoch:
    """How a saturating training stood after one epoch.

    Attributes:
        epoch: From 1.
        weight: Lambda of its last batch.
        loss: Mean loss of an image, penalty included.
        accuracy: On the held-out images, in [0, 1].
    """

    epoch: int
    weight: float
    loss: float
    accuracy: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SaturationResult:
    """What a saturating training gives.

    Attributes:
        model: The network of the epoch that was kept, in evaluation mode.
        history: All epochs.
        kept: Number of the epoch that the network is from: the last one, and with it the largest lambda,
            whose accuracy was within the tolerance.
        diverged: Whether the accuracy fell for good while lambda rose, so that the training ended early and
            went back.
    """

    model: AbstractClassifier
    history: tuple[SaturationEpoch, ...]
    kept: int
    diverged: bool

    @property
    def weight(self) -> float:
        """Lambda of the epoch that was kept."""
        return self.history[self.kept - 1].weight

    def __str__(self) -> str:
        """One sentence."""
        best = max(each.accuracy for each in self.history)
        kept = self.history[self.kept - 1]
        words = f"kept epoch {self.kept} of {len(self.history)}: lambda {kept.weight:.3g}, "
        words += f"held-out accuracy {100 * kept.accuracy:.2f} % (best {100 * best:.2f} %)"
        return f"diverged, rolled back; {words}" if self.diverged else words


class Story:
    """The epochs so far and the network to keep, in memory and in a file.

    Args:
        path: The file; None: in memory only.
        identity: What another training must share to go on from here; JSON.
        saturation: Says what to keep.
    """

    def __init__(
        self, path: Path | None, *, identity: Mapping[str, Any], saturation: SaturationConfig
    ) -> None:
        self.path = path
        self.identity = dict(identity)
        self.saturation = saturation
        self.history: list[SaturationEpoch] = []
        self.kept = 0
        self.arrays: dict[str, NDArray[Any]] = {}

    def load(self, model: AbstractClassifier) -> None:
        """Take what an earlier run left, if there is something.

        Raises:
            CheckpointError: It is damaged, or of another training.
        """
        if self.path is None or not self.path.exists():
            return
        found = load_checkpoint(self.path, kind="training")
        if found.settings.get("saturating") != self.identity:
            raise CheckpointError(
                f"'{self.path}' holds another training: it had other settings, another start or other data. "
                "Resume it as it was, begin anew (--force), or choose another file"
            )
        try:
            self.history = [SaturationEpoch(**each) for each in found.settings["history"]]
            self.kept = int(found.settings["kept"])
            check_state_arrays(model, found.arrays)
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"'{self.path}' is malformed: {error}") from error
        self.arrays = {name: np.array(array) for name, array in found.arrays.items()}

    def add(self, epoch: SaturationEpoch, model: AbstractClassifier) -> None:
        """Write down an epoch, once: what is known of it and of later ones is forgotten."""
        self.history = [*self.history[: epoch.epoch - 1], epoch]
        best = max(each.accuracy for each in self.history)
        if epoch.weight == 0 or epoch.accuracy >= best - self.saturation.tolerance:
            self.kept, self.arrays = epoch.epoch, state_arrays(model)
        if self.path is not None:
            settings = {
                "saturating": self.identity,
                "history": [asdict(each) for each in self.history],
                "kept": self.kept,
            }
            save_checkpoint(
                self.path, Checkpoint(kind="training", arrays=self.arrays, settings=settings, provenance={})
            )

    @property
    def has_diverged(self) -> bool:
        """Whether the last `patience` epochs were all worth less than the tolerance allows."""
        return bool(self.history) and len(self.history) - self.kept >= self.saturation.patience

    def result(self, model: AbstractClassifier) -> SaturationResult:
        """Return the network to keep; `model` gives its architecture."""
        kept = copy.deepcopy(model).cpu()
        load_state_arrays_(kept, self.arrays)
        return SaturationResult(
            model=kept.eval(), history=tuple(self.history), kept=self.kept, diverged=self.has_diverged
        )
