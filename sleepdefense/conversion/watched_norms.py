"""Batch norms as they act on the batch at hand, to be folded into a twin that is trained with it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sleepdefense.models.layer_kinds import NORM_MODULES


@dataclass(frozen=True, slots=True, kw_only=True)
class Norm:
    """A batch norm with statistics of its own choice: what can be folded.

    Attributes:
        weight: gamma, (channel,), or None.
        bias: beta, (channel,), or None.
        running_mean: (channel,).
        running_var: (channel,).
        eps: Added to the variance.
    """

    weight: Tensor | None
    bias: Tensor | None
    running_mean: Tensor
    running_var: Tensor
    eps: float


@contextmanager
def watched_norms(model: nn.Module) -> Iterator[dict[str, Norm]]:
    """Collect the batch norms of a network with the statistics of what goes through them meanwhile.

    A network in training normalises a batch by its own mean and variance, and only at rest by running
    averages, which lag behind quickly changing weights. A twin that folds the lagging ones in is another
    network than the one that learns: its gradient makes the weights grow or shrink, which the awake network
    in training does not feel, until neither works at rest. Networks that are trained for coarse numbers meet
    the same, and fold in the statistics of the batch.

    Yields:
        A mapping that the forward passes inside fill: name of the batch norm -> `Norm`, gradients included.

    Source:
        Krishnamoorthi 2018, "Quantizing deep convolutional networks for efficient inference", for coarse
        numbers.
    """
    norms: dict[str, Norm] = {}

    def watch(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def look(module: Any, inputs: tuple[Tensor, ...]) -> None:
            value = inputs[0].double()
            axes = [axis for axis in range(value.ndim) if axis != 1]
            variance, mean = torch.var_mean(value, axes, correction=0)
            norms[name] = Norm(
                weight=module.weight,
                bias=module.bias,
                running_mean=mean,
                running_var=variance,
                eps=module.eps,
            )

        return look

    hooks = [
        module.register_forward_pre_hook(watch(name))
        for name, module in model.named_modules()
        if isinstance(module, NORM_MODULES)
    ]
    try:
        yield norms
    finally:
        for hook in hooks:
            hook.remove()
