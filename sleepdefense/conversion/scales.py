"""How active each unit is: the scales by which weights become spike rates."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sleepdefense.errors import ConversionError

_SHIFT = 11  # keep sign, exponent and 12 bits of the mantissa: bins of 0.02 %


class ActivityHistogram:
    """Counts positive activations by the leading bits of their float32, so that any order gives the same.

    Positive floats are ordered as their bit patterns are; 2**20 integer counters hold a percentile of any
    number of values to 0.03 %, in one pass and in memory that does not grow.
    """

    def __init__(self) -> None:
        self.counts: NDArray[np.int64] = np.zeros(1 << (32 - 1 - _SHIFT), dtype=np.int64)
        self.largest = 0.0

    def add(self, values: Tensor) -> None:
        """Count the positive entries of `values`."""
        array = values.detach().float().cpu().numpy().ravel()
        array = array[array > 0]
        if array.size:
            bins = array.view(np.uint32) >> _SHIFT
            self.counts += np.bincount(bins, minlength=self.counts.size)
            self.largest = max(self.largest, float(array.max()))

    def percentile(self, percentile: float) -> float:
        """Return the smallest bin edge that at least this percentage of the positive entries stay below.

        100 gives the largest entry itself; without any positive entry the result is 0.
        """
        total = int(self.counts.sum())
        if total == 0 or percentile >= 100:
            return self.largest
        reached = int(np.searchsorted(np.cumsum(self.counts), percentile / 100 * total))
        edge = np.array([(reached + 1) << _SHIFT], dtype=np.uint32).view(np.float32)[0]
        return min(float(edge), self.largest)


@torch.no_grad()
def activity_scales(
    values: Callable[[Tensor], Mapping[str, Tensor]],
    units: tuple[str, ...],
    calibration: Tensor,
    *,
    percentile: float = 99.9,
    batch_size: int = 128,
) -> dict[str, float]:
    """Measure how active each rectified unit is, in one pass over the calibration images.

    A spiking neuron fires at most once a step, a ReLU has no such bound. With `scale` the given percentile
    of the *positive* activity of a unit over all neurons and images, its spiking twin uses

        weight * scale_in / scale_out    and    bias / scale_out,    with scale_in = 1 for the image,

    and its firing rate then approximates the activation divided by `scale_out`. The same numbers lead back
    after sleep.

    Args:
        values: Gives the awake value of every node for a batch.
        units: Names of the rectified units, first to last.
        calibration: Images as the network sees them awake, (image, *unit); some hundred do.
        percentile: In (0, 100]. 100 takes the largest activity, which one outlier can spoil.
        batch_size: Images at a time; of no influence on the result.

    Returns:
        Unit -> scale > 0, in units of its activation.

    Raises:
        ConversionError: `percentile` is out of range, there are no images, or a unit is silent on all of
            them, in which case no scale can make it spike.

    Source:
        Rueckauer et al. 2017, data-based weight normalisation with a percentile.
    """
    if not 0 < percentile <= 100:
        raise ConversionError(f"'percentile' must be in (0, 100], got {percentile}")
    if len(calibration) == 0:
        raise ConversionError("'calibration' holds no images, expected some hundred")
    histograms = {name: ActivityHistogram() for name in units}
    for batch in calibration.split(batch_size):
        found = values(batch)
        for name, histogram in histograms.items():
            histogram.add(found[name])
    scales = {name: histogram.percentile(percentile) for name, histogram in histograms.items()}
    for name, scale in scales.items():
        if scale <= 0:
            raise ConversionError(
                f"unit {name!r} is silent: no activation above 0 over {len(calibration)} images. "
                "Calibrate on more images, or train for longer."
            )
    return scales
