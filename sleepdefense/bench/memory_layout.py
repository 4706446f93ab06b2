"""The two ways to lay a batch of maps into memory."""

from torch import Tensor, channels_last


def lay_out(maps: Tensor, *, last: bool) -> Tensor:
    """Return maps in torch's plain layout, or with the channels last.

    With a single channel both are the same numbers in the same order, and torch calls it plain; then it takes
    a slower algorithm for the first stage, and changes the layout of what comes after. So the strides are set
    by hand.

    Args:
        maps: (batch, channel, height, width).
        last: Channels last.

    >>> import torch
    >>> lay_out(torch.zeros(2, 1, 3, 5), last=True).stride()
    (15, 1, 5, 1)
    """
    if not last:
        return maps.contiguous()
    batch, channels, height, width = maps.shape
    ordered = maps.contiguous(memory_format=channels_last)
    return ordered.as_strided(
        (batch, channels, height, width), (channels * height * width, 1, channels * width, channels)
    )
