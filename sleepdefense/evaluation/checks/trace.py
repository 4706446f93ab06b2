"""The loss of each image, step by step, while an attack is at work."""

import torch
from jaxtyping import Float64
from torch import Tensor
from torch.nn.functional import cross_entropy

from sleepdefense.shapes import Labels


class LossTrace:
    """Keeps the cross-entropy of every image at each pass of an attack.

    Args:
        labels: True class of each image under attack, (image,).
    """

    def __init__(self, labels: Labels) -> None:
        self._labels = labels
        self._losses: list[Tensor] = []

    def listen(self, logits: Tensor) -> None:
        """Take the logits of a pass, (batch, class), or of several draws, (draw, batch, class)."""
        if logits.shape[-2] != len(self._labels):
            return
        draws = logits.double().cpu().reshape(-1, *logits.shape[-2:])
        losses = [cross_entropy(draw, self._labels, reduction="none") for draw in draws]
        self._losses.append(torch.stack(losses).mean(0))

    @property
    def losses(self) -> Float64[Tensor, "step image"]:
        """The losses so far, (step, image)."""
        return torch.stack(self._losses) if self._losses else torch.zeros(0, len(self._labels)).double()


def side_by_side(traces: list[Tensor]) -> Float64[Tensor, "step image"]:
    """Put the traces of several batches beside each other, as far as the shortest goes."""
    steps = min((len(trace) for trace in traces), default=0)
    return torch.cat([trace[:steps] for trace in traces], 1) if traces else torch.zeros(0, 0).double()
