"""The slope of Defense-GAN's search without autograd: the generator forward and backward.

The weights are constants of a search. So the kernels of the transposed convolutions are turned into products
once (`toom_cook.py`), memory is taken once for each size of batch, and of the gradient only the part by the
latent is computed. Images lie pixel by pixel, (pixel, row, channel): what is left are matrix multiplications
of rows and channels, and small sparse matrices over the pixels (`kernels/sandwich.py`).
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, cast

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import pad

from sleepdefense.kernels.sandwich import LEAST_LANES, Sandwich
from sleepdefense.models.to_pixels import ToPixels
from sleepdefense.models.toom_cook import bilinear_upsampling
from sleepdefense.shapes import Images

_LEAST_ROWS: Final = 16
"""Smaller batches are filled up: other routines multiply matrices of few rows, and round otherwise."""


class QuickSlope:
    """d/dz of the mean over pixels of (G(z) - x)^2, row by row, to the rounding of floats.

    A row's result has the same bits in every batch, as far as the matrix multiplication has.

    Args:
        generator: A linear map, ReLU, `Unflatten`, then at least one transposed convolution of 5x5, stride 2
            and padding 2, with ReLUs between them and a sigmoid behind the last; float32, on the CPU.
    """

    def __init__(self, generator: nn.Sequential) -> None:
        parts = list(generator)
        linear, shape = cast(nn.Linear, parts[0]), cast(nn.Unflatten, parts[2])
        ups = [part for part in parts if isinstance(part, nn.ConvTranspose2d)]
        channels, size, _ = cast(tuple[int, int, int], shape.unflattened_size)
        weight = linear.weight.detach().view(channels, size * size, -1)
        self._weight = weight.permute(1, 2, 0).contiguous()  # (pixel, unit, channel)
        self._bias = linear.bias.detach().view(channels, size * size).T[:, None].contiguous()
        self._kernels: list[_Kernels] = []
        for up in ups[:-1]:
            self._kernels.append(_Kernels(up, size))
            size = self._kernels[-1].large
        self._last, self._size = ups[-1], size
        self._least = max(_LEAST_ROWS, -(-LEAST_LANES // min(up.in_channels for up in ups)))
        self._passes: dict[int, Pass] = {}
        self._threads = _Threads(torch.get_num_threads())

    @torch.no_grad()
    def __call__(self, latent: Float[Tensor, "row unit"], target: Images) -> Float[Tensor, "row unit"]:
        """Return the slope for latents z and images x, (row, channel, height, width)."""
        missing = max(0, self._least - len(latent))
        if missing:
            filled = pad(latent, (0, 0, 0, missing)), pad(target, (0, 0, 0, 0, 0, 0, 0, missing))
            return self(*filled)[: len(latent)]
        if len(latent) not in self._passes:
            self._passes[len(latent)] = self.pass_of(len(latent))
        return self._passes[len(latent)](latent, target)

    def pass_of(self, rows: int) -> "Pass":
        """Return the whole way for one size of batch, with its memory."""
        layers = [Upsampling(kernels, rows, self._threads) for kernels in self._kernels]
        return Pass(self._weight, self._bias, layers, ToPixels(self._last, self._size, rows))


class _Threads:
    """Some threads among which the lanes of a sandwich are divided, which changes no bit."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._pool = ThreadPoolExecutor(count) if count > 1 else None

    def run(self, sandwich: Sandwich, out: Tensor, source: Tensor) -> None:
        """Write S X S' into `out`."""
        arrays = out.view(-1).numpy(), source.view(-1).numpy()
        if self._pool is None:
            sandwich(*arrays)
        else:
            parts = [(number, self._count) for number in range(self._count)]
            list(self._pool.map(lambda part: sandwich(*arrays, part=part), parts))


class _Kernels:
    """The kernels of a transposed convolution as products.

    Products that take the same values of the kernel lie together in memory, and such groups of the same
    number too, so that all groups of a number are one batched multiplication.
    """

    def __init__(self, up: nn.ConvTranspose2d, small: int) -> None:
        self.small, self.large = small, 2 * small - 1 + up.output_padding[0]
        self.many, self.few = up.in_channels, up.out_channels
        self.bias = cast(Tensor, up.bias).detach()
        plan = self.plan = bilinear_upsampling(small, self.large)
        kinds = len(plan.taps)
        kind = (plan.kind[:, None] * kinds + plan.kind).ravel()
        count = np.bincount(kind, minlength=kinds**2)
        by_count = np.argsort(count, kind="stable")
        rank = np.empty_like(by_count)
        rank[by_count] = np.arange(len(by_count))
        self.place: NDArray[np.int64] = np.empty_like(kind)
        self.place[np.argsort(rank[kind], kind="stable")] = np.arange(len(kind))
        taps = torch.from_numpy(plan.taps)
        values = torch.einsum("pk,ckl,ql->pqc", taps, up.weight.detach().double().flatten(0, 1), taps)
        weight = values.reshape(-1, self.many, self.few)[torch.from_numpy(by_count)].float()
        self.groups = [
            (int(number), weight[torch.from_numpy(count[by_count] == number)]) for number in np.unique(count)
        ]


class Upsampling:
    """A transposed convolution and the ReLU behind it, for one size of batch."""

    def __init__(self, kernels: _Kernels, rows: int, threads: _Threads) -> None:
        plan, place, wide, narrow = kernels.plan, kernels.place, rows * kernels.many, rows * kernels.few
        self._threads, self._bias = threads, kernels.bias
        self._back = torch.empty(kernels.small**2, rows, kernels.many)
        self._inputs = torch.empty(len(place), rows, kernels.many)
        self._products = torch.empty(len(place), rows, kernels.few)
        self._out = torch.empty(kernels.large**2, rows, kernels.few)
        self._parts = []
        first = 0
        for number, weight in kernels.groups:
            part = slice(first, first + number * len(weight))
            inputs = self._inputs[part].view(len(weight), -1, kernels.many)
            products = self._products[part].view(len(weight), -1, kernels.few)
            self._parts.append((inputs, weight, products))
            first = part.stop
        self._spread = Sandwich(plan.inputs, wide, out_order=place)
        self._gather = Sandwich(plan.outputs, narrow, source_order=place)
        self._spread_back = Sandwich(plan.outputs.T, narrow, out_order=place)
        self._gather_back = Sandwich(plan.inputs.T, wide, source_order=place)

    def multiply(self) -> None:
        """Multiply sums over pixels with the kernels, whatever they are."""
        for inputs, weight, products in self._parts:
            torch.bmm(inputs, weight, out=products)

    def multiply_back(self) -> None:
        """Multiply slopes by products with the kernels, whatever they are."""
        for inputs, weight, products in self._parts:
            torch.bmm(products, weight.transpose(1, 2), out=inputs)

    @property
    def multiplications(self) -> int:
        """Of `multiply`, for one row: products times channels that come in times channels that go out."""
        return (
            sum(inputs.shape[0] * inputs.shape[1] * weight[0].numel() for inputs, weight, _ in self._parts)
            // (self._out.shape[1])
        )

    def forward(self, hidden: Tensor) -> Tensor:
        """Return the maps, (pixel, row, channel), in memory that is the layer's own."""
        self._threads.run(self._spread, self._inputs, hidden)
        self.multiply()
        self._threads.run(self._gather, self._out, self._products)
        return self._out.add_(self._bias).relu_()

    def backward(self, slope: Tensor) -> Tensor:
        """Return the slope by what came in, from that by the maps, which is changed."""
        _stop_where_off_(slope, self._out)
        self._threads.run(self._spread_back, self._products, slope)
        self.multiply_back()
        self._threads.run(self._gather_back, self._back, self._inputs)
        return self._back


class Pass:
    """The whole way for one size of batch."""

    def __init__(self, weight: Tensor, bias: Tensor, layers: list[Upsampling], last: ToPixels) -> None:
        self._weight, self._bias, self.layers, self.last = weight, bias, layers, last

    def __call__(self, latent: Tensor, target: Tensor) -> Tensor:
        """Return the slope, (row, unit)."""
        start = torch.baddbmm(self._bias, latent.expand(len(self._weight), -1, -1), self._weight).relu_()
        hidden = start
        for layer in self.layers:
            hidden = layer.forward(hidden)
        slope = self.last.slope(hidden, target)
        for layer in reversed(self.layers):
            slope = layer.backward(slope)
        _stop_where_off_(slope, start)
        return torch.bmm(slope, self._weight.transpose(1, 2)).sum(0)


def _stop_where_off_(slope: Tensor, unit: Tensor) -> None:
    """Take the slope through a ReLU, given what came out of it."""
    backward: Any = torch.ops.aten.threshold_backward
    backward(slope, unit, 0, grad_input=slope)
