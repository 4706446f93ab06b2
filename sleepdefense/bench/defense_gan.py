"""What one step of Defense-GAN's search costs, beside autograd and beside what the processor can do."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sleepdefense.bench.clock import Progress, time_in_turns
from sleepdefense.models.defense_gan import DefenseGAN
from sleepdefense.models.latent_search import QUICK_ROWS_AT_ONCE, ROWS_AT_ONCE
from sleepdefense.models.quick_slope import QuickSlope

_QUICK, _AUTOGRAD, _PRODUCTS, _PIXELS, _PEAK = "quick", "autograd", "products", "pixels", "peak"
_PEAK_SIZE = 1024
_SWITCHED = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchTimes:
    """CPU seconds of one start and step of a search: forward, and backward to the latent.

    Attributes:
        width: Maps before the last transposed convolution.
        quick: As the search does it.
        autograd: With the generator as a module, as before.
        products: Part of `quick`: the matrix products of the transposed convolutions but the last.
        pixels: Part of `quick`: the last convolution and the error, forward and backward.
        taken: Multiplications of `products`.
        direct: Multiplications of the same convolutions as they are written, what is cut off left out.
        rate: Of `products`, 10^9 operations a second, two for a multiplication.
        peak: The same of a matrix product of 1024 x 1024.
        difference: Largest difference between the two slopes of a row, relative to the largest slope of all:
            the median over rows.
        switched: Part of the rows where it is above 0.0001: a unit so close to 0 that the rounding switched
            it on in one of the two and off in the other.
    """

    width: int
    quick: float
    autograd: float
    products: float
    pixels: float
    taken: int
    direct: int
    rate: float
    peak: float
    difference: float
    switched: float

    def minutes(self, images: int, *, steps: int = 200, restarts: int = 10) -> float:
        """Return the minutes of one core that so many searches would take."""
        return images * steps * restarts * self.quick / 60


def measure_defense_gan(
    *, width: int = 64, rounds: int = 5, seed: int = 0, progress: Progress | None = None
) -> SearchTimes:
    """Time a step on one thread, contestants taking turns; the fastest round of each counts.

    Args:
        width: Maps before the last transposed convolution.
        rounds: Measured rounds.
        seed: Of weights, latents and images.
        progress: Told before every run.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = DefenseGAN(width=width).eval().requires_grad_(False)
        draw = torch.Generator().manual_seed(seed)
        latent = torch.randn(ROWS_AT_ONCE, int(model.settings["latent"]), generator=draw) / 10
        target = torch.rand(ROWS_AT_ONCE, 1, 28, 28, generator=draw)
        some = QUICK_ROWS_AT_ONCE
        quick, whole = QuickSlope(model.generator), QuickSlope(model.generator).pass_of(some)
        hidden = torch.rand(14 * 14, some, width, generator=draw)
        square = torch.rand(_PEAK_SIZE, _PEAK_SIZE, generator=draw)

        def products() -> None:
            for layer in whole.layers:
                layer.multiply()
                layer.multiply_back()

        found, wanted = quick(latent[:some], target[:some]), _autograd(model, latent, target)[:some]
        whole(latent[:some], target[:some])
        best = time_in_turns(
            {
                _QUICK: lambda: quick(latent[:some], target[:some]),
                _AUTOGRAD: lambda: _autograd(model, latent, target),
                _PRODUCTS: products,
                _PIXELS: lambda: whole.last.slope(hidden, target[:some]),
                _PEAK: lambda: torch.mm(square, square),
            },
            rounds=rounds,
            progress=progress,
        )
    finally:
        torch.set_num_threads(before)
    apart = (found - wanted).abs().amax(dim=1) / wanted.abs().max()
    taken = 2 * sum(layer.multiplications for layer in whole.layers)
    return SearchTimes(
        width=width,
        quick=best[_QUICK] / some,
        autograd=best[_AUTOGRAD] / ROWS_AT_ONCE,
        products=best[_PRODUCTS] / some,
        pixels=best[_PIXELS] / some,
        taken=taken,
        direct=2 * _direct(model),
        rate=2 * taken * some / best[_PRODUCTS] / 1e9,
        peak=2 * _PEAK_SIZE**3 / best[_PEAK] / 1e9,
        difference=float(apart.median()),
        switched=float((apart > _SWITCHED).float().mean()),
    )


def _autograd(model: DefenseGAN, latent: Tensor, target: Tensor) -> Tensor:
    leaf = latent.requires_grad_(True)
    error = (model.generate(leaf) - target).square().flatten(1).mean(dim=1).sum()
    (slope,) = torch.autograd.grad(error, leaf)
    latent.requires_grad_(False)
    return slope


def _direct(model: DefenseGAN) -> int:
    """Count the multiplications of all transposed convolutions but the last, for one image."""
    ups = [part for part in model.generator if isinstance(part, nn.ConvTranspose2d)][:-1]
    size, total = 4, 0
    for up in ups:
        large = 2 * size - 1 + up.output_padding[0]
        pairs = sum(0 <= 2 * pixel - 2 + tap < large for pixel in range(size) for tap in range(5))
        total += pairs**2 * up.in_channels * up.out_channels
        size = large
    return total
