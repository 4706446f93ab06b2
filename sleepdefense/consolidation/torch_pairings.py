"""Which synapses of the neurons that learn are potentiated, which depressed: integer counts on the device.

Sums of integers know no order, so the counts are the same on every device and in every split.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Int32, Int64
from torch import Tensor

from sleepdefense.consolidation.torch_dynamics import TorchLayer, pooled, windows

_OUTSIDE = -1
"""Step of the first spike in the rim, where there is nothing."""


class Counts(NamedTuple):
    """What the synapses of one layer went through so far. The tensors are added to."""

    potentiation: Int64[Tensor, "feature channel kernel_h kernel_w"]
    paired: Int64[Tensor, "feature kernel_h kernel_w"]
    """Potentiations and depressions of every channel's synapse."""
    winners: Int64[Tensor, " feature"]
    """How often a neuron of each feature learned."""

    @classmethod
    def none(cls, layer: TorchLayer) -> "Counts":
        """Return counts of 0."""
        features, _, *kernel = layer.weight.shape
        zero = torch.zeros((), dtype=torch.int64, device=layer.weight.device)
        return cls(
            potentiation=zero.repeat(layer.weight.shape),
            paired=zero.repeat(features, *kernel),
            winners=zero.repeat(features),
        )


def first_steps(
    spikes: Bool[Tensor, "time image channel height width"],
    before: Int32[Tensor, "image channel height width"],
    *,
    first_step: int,
) -> Int32[Tensor, "image channel height width"]:
    """Return the step of each unit's first spike so far.

    Args:
        spikes: Of steps from `first_step` on, (time, image, channel, height, width).
        before: The same before these; a unit that was silent holds a step beyond the end of the train.
        first_step: Step of the first entry of `spikes`.
    """
    step = torch.arange(first_step, first_step + len(spikes), dtype=torch.int32, device=spikes.device)
    found = torch.where(spikes, step[:, None, None, None, None], torch.iinfo(torch.int32).max)
    return torch.minimum(before, found.amin(0))


def count_pairings_(
    counts: Counts,
    layer: TorchLayer,
    pre_step: Int32[Tensor, "image channel height width"],
    winner: Int64[Tensor, "winner 5"],
    *,
    depress_outside: bool,
    as_printed: bool,
    chunk_bytes: int,
) -> None:
    """Add the pairings of winners, by the first spikes of what they see; see `kernels.count_pairings_`.

    Args:
        counts: Changed.
        layer: Whose winners.
        pre_step: From `first_steps`, of the units before the layer, not pooled.
        winner: Rows (image, feature, row, column, step).
        depress_outside: Depress synapses that reach into the rim; otherwise they are left alone.
        as_printed: Potentiate where the visible spike comes with the hidden one, later or never.
        chunk_bytes: About how much memory to work in.
    """
    rows, columns = layer.padding
    seen = pooled(pre_step, layer.pool).amin((-3, -1))
    seen = F.pad(seen, (columns, columns, rows, rows), value=_OUTSIDE)
    _, channels, *kernel = layer.weight.shape
    channel = torch.arange(channels, device=seen.device)[:, None, None]
    tap_row = torch.arange(kernel[0], device=seen.device)[:, None]
    tap_column = torch.arange(kernel[1], device=seen.device)
    bytes_each = 16 * channels * kernel[0] * kernel[1]
    for some in winner.split(max(1, chunk_bytes // bytes_each)):
        image, feature, row, column, step = (entry[:, None, None, None] for entry in some.T)
        step_seen = seen[
            image, channel, row * layer.stride[0] + tap_row, column * layer.stride[1] + tap_column
        ]
        potentiated = step_seen >= step if as_printed else (step_seen >= 0) & (step_seen <= step)
        paired = torch.ones_like(potentiated[:, 0]) if depress_outside else step_seen[:, 0] != _OUTSIDE
        feature = feature.flatten()
        counts.potentiation.index_add_(0, feature, potentiated.long())
        counts.paired.index_add_(0, feature, paired.long())
        counts.winners.index_add_(0, feature, torch.ones_like(feature))


def count_coincidences_(
    counts: Counts,
    layer: TorchLayer,
    pre: Bool[Tensor, "time image channel height width"],
    post: Bool[Tensor, "time image feature hidden_h hidden_w"],
    *,
    depress_outside: bool,
) -> None:
    """Add the coincidences of every spike of the layer; see `kernels.count_coincidences_`.

    Args:
        counts: Changed.
        layer: Whose spikes.
        pre: Spikes of the units before the layer, not pooled.
        post: Spikes of its neurons, in the same steps.
        depress_outside: Depress synapses that reach into the rim; otherwise they are left alone.
    """
    visible, hidden = pre.flatten(0, 1), post.flatten(0, 1)
    if layer.pool != (1, 1):
        visible = pooled(visible, layer.pool).any(-1).any(-2)
    most = hidden[:, 0].numel()  # of one synapse
    dtype = torch.float32 if most <= 2**24 else torch.float64
    both = torch.tensordot(hidden.to(dtype), windows(visible.to(dtype), layer), dims=((0, 2, 3), (0, 1, 2)))
    occupied = hidden.sum(0)
    one = torch.ones_like(visible[:1, :1], dtype=torch.float64)
    inside = torch.ones_like if depress_outside else torch.clone
    place = inside(windows(one, layer)[0, ..., 0])
    counts.potentiation.add_(both.movedim(-1, 1).long())
    counts.paired.add_(torch.tensordot(occupied.double(), place, dims=2).long())
    counts.winners.add_(occupied.sum((1, 2)))
