"""Everything a page can show of a run. Every part may be missing: a run that is half done has a page too."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8
from numpy import ndarray
from numpy.typing import NDArray

from sleepdefense.consolidation.diary import SleepDiary
from sleepdefense.conversion.report import ConversionReport
from sleepdefense.evaluation.results import RobustnessTable


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageRow:
    """A few images side by side.

    Attributes:
        title: What was done to them.
        images: (sample, channel, height, width), in [0, 1].
        predicted: Which class the classifier sees in each, (sample,); None if that is not known.
    """

    title: str
    images: Float[ndarray, "sample channel height width"]
    predicted: Int[ndarray, " sample"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SampleStrip:
    """The same few images under one attack, and what became of them.

    Attributes:
        title: Which attack, and what it saw.
        labels: True classes, (sample,).
        rows: From top to bottom.
    """

    title: str
    labels: Int[ndarray, " sample"]
    rows: tuple[ImageRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WeightChange:
    """The weights of one layer before and after sleep, of one shape and in the same units."""

    name: str
    before: NDArray[np.float32]
    after: NDArray[np.float32]

    @property
    def relative(self) -> float:
        """|after - before| / |before|; NaN where all weights were zero."""
        norm = float(np.linalg.norm(self.before.astype(np.float64)))
        change = float(np.linalg.norm(self.after.astype(np.float64) - self.before))
        return change / norm if norm > 0 else float("nan")

    @property
    def flipped(self) -> float:
        """Share of the weights whose sign changed, in [0, 1]."""
        return float(np.mean(np.signbit(self.before) != np.signbit(self.after))) if self.before.size else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """How a network was trained.

    Attributes:
        name: Of the network.
        losses: Mean loss of an image, epoch by epoch.
    """

    name: str
    losses: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintedNumber:
    """A number that a paper prints, as text.

    Attributes:
        text: The accuracy, "15 %".
        verdict: Where it lies: "above", "below" or "inside" the measured interval; "" if that is not known.
        median: The median distance that is printed along with it; "" without one.
    """

    text: str
    verdict: str = ""
    median: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Printed:
    """What a paper prints for one of the systems.

    Attributes:
        paper: Where it is printed, "dim2022:CNN".
        system: Which system of the table it stands beside.
        numbers: Norm and attack, as in "L2:DDN", or "L2:all" -> number.
    """

    paper: str
    system: str
    numbers: Mapping[str, PrintedNumber]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFile:
    """One file of a run.

    Attributes:
        name: Its name in the folder.
        kind: What its content means.
        digest: SHA-256, in hexadecimal.
        settings: Its settings.
        provenance: Where it comes from.
    """

    name: str
    kind: str
    digest: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RunRecord:
    """A run, as far as it went.

    Attributes:
        name: What the page calls it.
        config: Settings of the run.
        table: What the evaluation found.
        strips: Images to look at, attack by attack.
        conversion: What became of every layer.
        rasters: "before" or "after" sleep -> layer -> spikes for one image, (time, unit).
        weights: Layers in order.
        naps: Diary of each sleep, in order.
        dose: The relative change at which a layer wakes up, or None.
        trainings: In order.
        files: What the folder holds.
        timings: Step -> seconds.
        absent: Name of a file -> why it is not used: not there, or damaged and how.
        printed: What a paper prints, to stand beside the table.
        is_evaluation: Whether it is no run but one evaluation, which has nothing to train or to convert.
    """

    name: str = "run"
    config: Mapping[str, Any] | None = None
    table: RobustnessTable | None = None
    strips: tuple[SampleStrip, ...] = ()
    conversion: ConversionReport | None = None
    rasters: Mapping[str, Mapping[str, UInt8[ndarray, "time unit"]]] = field(default_factory=dict)
    weights: tuple[WeightChange, ...] = ()
    naps: tuple[SleepDiary, ...] = ()
    dose: float | None = None
    trainings: tuple[Training, ...] = ()
    files: tuple[RunFile, ...] = ()
    timings: Mapping[str, float] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)
    printed: Printed | None = None
    is_evaluation: bool = False

    def why_absent(self, *names: str) -> str:
        """Say why a part is missing, given the names of the files it would have come from."""
        known = [f"{name}: {self.absent[name]}" for name in names if name in self.absent]
        return "; ".join(known) if known else "this run has no such part"
