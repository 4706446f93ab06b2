"""Let a trained network sleep and wake it, with the controls that every claim about sleep needs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from sleepdefense.config import ConversionConfig, SleepSection
from sleepdefense.consolidation import CONTROLS
from sleepdefense.conversion import to_awake
from sleepdefense.data import ImageSet
from sleepdefense.models import Purified
from sleepdefense.pipeline import Context, convert_step, sleep_step, wake_step

SHOWN_CONTROLS = ("shuffled", "anti")
"""What else moves the weights as far as the sleep does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slept:
    """A network with its sleep; a purifier in front of a classifier.

    Attributes:
        before: The awake network.
        after: The same after its sleep.
        controls: Networks whose weights moved as far, by other ways.
        classifier: What classifies the reconstructions of a purifier; None for a classifier.
        kept: The part of the sleep that its guard kept, in [0, 1].
    """

    before: nn.Module
    after: nn.Module
    controls: Mapping[str, nn.Module]
    classifier: nn.Module | None
    kept: float

    @property
    def systems(self) -> dict[str, nn.Module]:
        """What gives logits: "before", "after", and the controls by name."""
        parts = {"before": self.before, "after": self.after, **self.controls}
        if self.classifier is None:
            return parts
        return {name: Purified(purifier, self.classifier) for name, purifier in parts.items()}


def spiking_file(awake: Path) -> Path:
    """Return where the spiking network of an awake checkpoint lies."""
    return _beside(awake, "spiking")


def let_sleep(
    awake: Path,
    images: ImageSet,
    context: Context,
    *,
    conversion: ConversionConfig,
    section: SleepSection,
    seed: int,
    held_out: ImageSet,
    classifier: nn.Module | None = None,
) -> Slept:
    """Convert a checkpoint, let it sleep and wake it; the files lie beside it, and finished ones are used.

    Args:
        awake: Checkpoint of kind "awake".
        images: What it sleeps on.
        context: How to run.
        conversion: How it is converted.
        section: How it sleeps.
        seed: Of spikes and controls.
        held_out: Images that judge what the sleep may cost.
        classifier: Judges what a purifier makes of them.

    Returns:
        The network before and after, and its controls.

    Raises:
        ConversionError: The network cannot be converted.
        SleepError: It cannot sleep; its conversion is there then.
    """
    before = convert_step(awake, images, spiking_file(awake), context, config=conversion, seed=seed)
    slept = _beside(awake, "slept")
    night = sleep_step(
        spiking_file(awake),
        images,
        slept,
        context,
        section=section,
        seed=seed,
        held_out=held_out,
        classifier=classifier,
    )
    verdict = night.diary.verdict
    return Slept(
        before=to_awake(before),
        after=wake_step(slept, _beside(awake, "woken"), context),
        controls={name: to_awake(CONTROLS[name](before, night.network, seed)) for name in SHOWN_CONTROLS},
        classifier=classifier,
        kept=1.0 if verdict is None else verdict.factor,
    )


def _beside(awake: Path, part: str) -> Path:
    return awake.with_name(f"{awake.stem}.{part}.h5")
