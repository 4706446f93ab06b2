"""What flows into the units of each layer, over many images."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from sleepdefense.attacks.gradient import evaluation_mode
from sleepdefense.models.layer_activity import layer_activity
from sleepdefense.shapes import Images

_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class DriveDistribution:
    """The drives h of one layer, over all its units and all images.

    Attributes:
        layer: Its name.
        unit: What its units do.
        count: Number of drives.
        lowest: The smallest one.
        highest: The largest one.
        edges: Of the histogram, (bin + 1,).
        share: Share of the drives in each bin, (bin,).
        saturated: Share of the units, over all images, whose slope phi'(h) is below `SATURATED`; NaN for
            units of a kind whose slope is not known here.
    """

    layer: str
    unit: str
    count: int
    lowest: float
    highest: float
    edges: NDArray[np.float64]
    share: NDArray[np.float64]
    saturated: float


SATURATED = 1e-3
"""A slope below this counts as saturated."""

_REACH = {"relu": 0.0, "sigmoid": 6.906753778, "tanh": 4.147}
"""Where a slope has sunk to `SATURATED`: below this for relu, beyond it on both sides for the others."""


@torch.no_grad()
def drive_distributions(
    model: nn.Module, images: Images, *, bins: int = 101
) -> tuple[DriveDistribution, ...]:
    """Count what flows into the units of each layer.

    Args:
        model: Any feed-forward network.
        images: (batch, channel, height, width), in [0, 1].
        bins: Of each histogram, between its smallest and its largest drive, >= 1.

    Returns:
        One entry for each layer, the readout last.

    Raises:
        EvaluationError: The network has no layer.

    Source:
        Nayebi and Ganguli 2017, Figure 2: h^l over all test images.
    """
    with evaluation_mode(model):
        ranges: list[tuple[str, str, float, float]] = []
        for batch in images.split(_AT_ONCE):
            for number, layer in enumerate(layer_activity(model, batch)):
                low, high = (float(value) for value in layer.drive.aminmax())
                if number == len(ranges):
                    ranges.append((layer.name, layer.unit, low, high))
                else:
                    name, unit, lowest, highest = ranges[number]
                    ranges[number] = (name, unit, min(lowest, low), max(highest, high))
        edges = [np.linspace(low, high if high > low else low + 1, bins + 1) for _, _, low, high in ranges]
        counts = [np.zeros(bins, np.int64) for _ in ranges]
        resting = [0] * len(ranges)
        for batch in images.split(_AT_ONCE):
            for number, layer in enumerate(layer_activity(model, batch)):
                drive = layer.drive.double().flatten().cpu().numpy()
                counts[number] += np.histogram(drive, bins=edges[number])[0]
                resting[number] += _num_saturated(layer.unit, drive)
    return tuple(
        DriveDistribution(
            layer=name,
            unit=unit,
            count=int(count.sum()),
            lowest=low,
            highest=high,
            edges=edge,
            share=count / count.sum(),
            saturated=rest / int(count.sum()) if unit in _REACH else float("nan"),
        )
        for (name, unit, low, high), edge, count, rest in zip(ranges, edges, counts, resting, strict=True)
    )


def _num_saturated(unit: str, drive: NDArray[np.float64]) -> int:
    if unit not in _REACH:
        return 0
    return int(((drive if unit == "relu" else -np.abs(drive)) <= -_REACH[unit]).sum())
