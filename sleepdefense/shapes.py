"""Array types with named axes, used in every signature.

Axes: batch, channel, height, width, time, unit, class, stage, winner. The names are checked in the tests.
"""

from jaxtyping import Float, Int
from torch import Tensor

Images = Float[Tensor, "batch channel height width"]
"""A batch of images, (batch, channel, height, width), intensities in [0, 1]."""

Labels = Int[Tensor, " batch"]
"""One class index for each image, (batch,)."""

Logits = Float[Tensor, "batch class"]
"""Unnormalised scores, (batch, class)."""

Current = Float[Tensor, "batch *unit"]
"""What flows into each unit in one step, (batch, *unit), in units of its threshold."""

SpikeTrain = Float[Tensor, "time batch *unit"]
"""0/1 spikes, (time, batch, *unit)."""
