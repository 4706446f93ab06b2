"""Many small linear maps of one shape, computed as one, and each of them as a layer of its own."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from typing_extensions import override

from sleepdefense.models.base import traceable


class StackedLinear(nn.Module):
    """K linear maps side by side: one weight, (map, out, in), one bias, (map, out), one matrix product.

    Each map starts as an `nn.Linear` of its own would: uniform within 1 / sqrt(in) of 0.

    Where each map has its own input, the weights lie in memory as (map, in, out): the product with a batch
    then reads them as they lie, its gradient comes out as they lie, and nothing is transposed on the way.

    Args:
        num_maps: K.
        in_features: Units before each map.
        out_features: Units behind each map.
        shared_input: All maps see the same input, (batch, in); else each has its own, (map, batch, in).

    >>> StackedLinear(10, 784, 256, shared_input=True)(torch.zeros(3, 784)).shape
    torch.Size([10, 3, 256])
    """

    def __init__(self, num_maps: int, in_features: int, out_features: int, *, shared_input: bool) -> None:
        super().__init__()
        self.num_maps = num_maps
        self.in_features = in_features
        self.out_features = out_features
        self.shared_input = shared_input
        bound = 1 / math.sqrt(in_features)
        weight = torch.empty(num_maps, out_features, in_features).uniform_(-bound, bound)
        if not shared_input:
            weight = weight.transpose(1, 2).contiguous().transpose(1, 2)
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(torch.empty(num_maps, out_features).uniform_(-bound, bound))

    @override
    @traceable
    def forward(self, value: Tensor) -> Tensor:
        """Return what each map makes of its input, (map, batch, out)."""
        if self.shared_input:
            together = linear(value, self.weight.flatten(0, 1), self.bias.flatten())
            turned: Tensor = together.unflatten(1, (self.num_maps, self.out_features)).transpose(0, 1)
            return turned
        apart: Tensor = torch.baddbmm(self.bias[:, None], value, self.weight.transpose(1, 2))
        return apart

    @override
    def extra_repr(self) -> str:
        """Return the sizes."""
        return (
            f"maps={self.num_maps}, in={self.in_features}, out={self.out_features}, "
            f"shared_input={self.shared_input}"
        )


class MapOfStack(nn.Linear):
    """One map of a stack as a layer: no weights of its own, but a view of the stack's.

    Whoever traces a network, converts it or changes a weight in place sees an ordinary linear layer, and what
    is written there is written into the stack. It adds nothing to a network's parameters and to its state.

    Args:
        stack: Where the weights are.
        number: Which of its maps.
    """

    def __init__(self, stack: StackedLinear, number: int) -> None:
        nn.Module.__init__(self)  # an nn.Linear would make weights
        self._stack = (stack,)  # within a tuple it is no part of this layer
        self.number = number
        self.in_features = stack.in_features
        self.out_features = stack.out_features

    @property
    def weight(self) -> Tensor:  # type: ignore[override]
        """The weight of this map, (out, in): a view."""
        return self._stack[0].weight[self.number]

    @property
    def bias(self) -> Tensor:  # type: ignore[override]
        """The bias of this map, (out,): a view."""
        return self._stack[0].bias[self.number]

    @override
    @traceable
    def forward(self, input: Tensor) -> Tensor:
        """Return what this map makes of a batch, (batch, out)."""
        return linear(input, self.weight, self.bias)

    @override
    def extra_repr(self) -> str:
        """Return the number and the sizes."""
        return f"map={self.number}, in={self.in_features}, out={self.out_features}"
