"""What every contestant has to do: these images, this network, so many steps, at a given firing rate."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sleepdefense.bench.network import FLOAT_GRID, GRID, Geometry, draw_weights, on_grid
from sleepdefense.data import load_data
from sleepdefense.errors import ConfigError, DataError
from sleepdefense.kernels import ChainLayer, SleepRecord, WeightType, bernoulli_train, sleep_images
from sleepdefense.kernels.chain import chain_shapes

WEIGHT_TYPES: dict[WeightType, int] = {"i16": GRID, "f32": FLOAT_GRID, "i8": GRID}
"""How the kernels may hold weights -> grid units in 1.0."""

_TOLERANCE = 0.002
"""Thresholds are searched to this fraction of themselves."""

_MOST = 2**31 - 1
"""No threshold is higher."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Workload:
    """A batch to be simulated.

    Attributes:
        images: Intensities, (image, channel, height, width), float32, in [0, 1].
        index: The number of each image, which its spikes depend on, (image,), int64.
        layers: First to last, in grid units.
        unit: Grid units in 1.0.
        k: Most winners of each layer.
        radius: Reach of the inhibition in each layer, in pixels.
        num_steps: Steps that each image is presented.
        seed: Of the spikes.
    """

    images: NDArray[np.float32]
    index: NDArray[np.int64]
    layers: tuple[ChainLayer, ...]
    unit: int
    k: tuple[int, ...]
    radius: tuple[int, ...]
    num_steps: int
    seed: int = 0

    @property
    def num_image_steps(self) -> int:
        """Images times steps."""
        return len(self.images) * self.num_steps

    @property
    def shapes(self) -> list[tuple[int, int, int]]:
        """(channel, height, width) of the image and of each layer's output."""
        _, channels, height, width = self.images.shape
        return chain_shapes(self.layers, (channels, height, width))

    def part(self, num_images: int | None = None, num_steps: int | None = None) -> "Workload":
        """Return the same with only the first so many images and steps; None: all of them."""
        return replace(
            self,
            images=self.images[:num_images],
            index=self.index[:num_images],
            num_steps=min(num_steps or self.num_steps, self.num_steps),
        )

    def repeated(self, times: int) -> "Workload":
        """Return the same images so many times, each time with other spikes."""
        return replace(
            self,
            images=np.tile(self.images, (times, 1, 1, 1)),
            index=np.arange(times * len(self.images), dtype=np.int64),
        )

    def train(self) -> NDArray[np.uint8]:
        """Draw the input spikes, (time, image, channel, height, width)."""
        return bernoulli_train(
            self.images, self.index, seed=self.seed, first_step=0, num_steps=self.num_steps
        )


class Picked(NamedTuple):
    """Some images and where they come from."""

    images: NDArray[np.float32]
    source: str


def pick_images(num: int, data_dir: Path | None) -> Picked:
    """Return the first training images of MNIST if it is on this machine, else embedded digits.

    Raises:
        DataError: `data_dir` is given and holds no MNIST.
    """
    try:
        train, _ = load_data("mnist", data_dir=data_dir, limit=num, test_limit=1, download=False)
    except DataError:
        if data_dir is not None:
            raise
        train, _ = load_data("digits", limit=num)
        return Picked(train.images.numpy(), "embedded digits, enlarged to 28x28: MNIST is not here")
    return Picked(train.images.numpy(), "MNIST, training images")


def fire_only(workload: Workload, *, record: bool = False) -> SleepRecord:
    """Simulate without learning."""
    return sleep_images(
        workload.images,
        workload.index,
        workload.layers,
        seed=workload.seed,
        num_steps=workload.num_steps,
        competition="image",
        k=workload.k,
        radius=workload.radius,
        learns=[False] * len(workload.layers),
        record=record,
    )


def firing_rates(workload: Workload) -> tuple[float, ...]:
    """Return the mean number of spikes of a neuron and step, for each layer."""
    counts = fire_only(workload).spike_count
    neurons = [features * height * width for features, height, width in workload.shapes[1:]]
    return tuple(
        float(count / (size * workload.num_image_steps)) for count, size in zip(counts, neurons, strict=True)
    )


def calibrated(workload: Workload, rate: float) -> Workload:
    """Set the threshold of each layer, first to last, so that its neurons fire at the wanted mean rate.

    Args:
        workload: Whatever its thresholds are now.
        rate: Spikes of a neuron and step, averaged over neurons, images and steps, in (0, 1).

    Raises:
        ConfigError: A layer fires less than that, however low its threshold.
    """
    layers = list(workload.layers)
    guess = 2**12
    for number in range(len(layers)):
        until = replace(
            workload,
            layers=tuple(layers[: number + 1]),
            k=workload.k[: number + 1],
            radius=workload.radius[: number + 1],
        )
        layers[number] = layers[number]._replace(threshold=_find_threshold(until, rate, guess))
        guess = layers[number].threshold
    return replace(workload, layers=tuple(layers))


def _find_threshold(workload: Workload, rate: float, guess: int) -> int:
    """Return the highest threshold of the last layer, within the tolerance, at which it fires so often."""

    def fires(threshold: int) -> bool:
        *before, last = workload.layers
        layers = (*before, last._replace(threshold=threshold))
        return firing_rates(replace(workload, layers=layers))[-1] >= rate

    low = high = guess
    while fires(high):
        low, high = high, min(4 * high, _MOST)
        if low == high:
            return low
    while low == high or not fires(low):
        if low == 1:
            raise ConfigError(
                f"S{len(workload.layers)} fires less than {rate} spikes a neuron and step, however low its "
                "threshold: take a lower rate"
            )
        low, high = max(1, low // 4), low
    while high - low > max(1, int(_TOLERANCE * low)):
        middle = max(low + 1, min(high - 1, round((low * high) ** 0.5)))
        low, high = (middle, high) if fires(middle) else (low, middle)
    return low


def make_workload(
    images: NDArray[np.float32],
    geometry: tuple[Geometry, ...],
    *,
    unit: int,
    num_steps: int,
    rate: float,
    seed: int = 0,
) -> Workload:
    """Build the network and let it fire at the wanted rate.

    Args:
        images: (image, channel, height, width), float32, in [0, 1].
        geometry: First stage to last.
        unit: Grid units in 1.0.
        num_steps: Steps that each image is presented.
        rate: Spikes of a neuron and step.
        seed: Of weights and spikes.

    Raises:
        ConfigError: The rate cannot be reached.
    """
    weights = draw_weights(geometry, channels=images.shape[1], seed=seed)
    workload = Workload(
        images=images,
        index=np.arange(len(images), dtype=np.int64),
        layers=on_grid(geometry, weights, unit=unit),
        unit=unit,
        k=tuple(stage.k for stage in geometry),
        radius=tuple(stage.radius for stage in geometry),
        num_steps=num_steps,
        seed=seed,
    )
    return calibrated(workload, rate)
