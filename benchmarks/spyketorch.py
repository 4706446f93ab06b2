"""Opponent: SpykeTorch's convolution, its k-winner-take-all and its STDP, winners per image.

SPYKETORCH must name the folder of a clone of https://github.com/miladmozafari/SpykeTorch (GPL-3: nothing
of it is copied here). What SpykeTorch lacks for this network is added around its functions:

- A stride: its convolution has the attribute, but its STDP cuts receptive fields at stride 1.
- Neurons that fire more than once: potentials and spikes come from a scan in torch; spikes become
  SpykeTorch's waves, which stay on after the first spike, by a running maximum.
"""

import os
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sleepdefense.bench import Opponent, Outcome, Workload
from sleepdefense.bench.opponent import Run

if "SPYKETORCH" in os.environ:
    sys.path.append(os.environ["SPYKETORCH"])
stand_ins = runpy.run_path(str(Path(__file__).with_name("stand_ins.py")))["stand_ins"]
with stand_ins("torchvision"):  # for data sets, which are not used here
    try:
        from SpykeTorch import functional, snn
    except ModuleNotFoundError as error:
        raise ImportError(f"{error}: let SPYKETORCH name the folder of a clone of SpykeTorch") from error

LEARNING_RATE = (0.004, -0.003)


class StridedSTDP(snn.STDP):  # type: ignore[misc]
    """SpykeTorch's STDP; only where a receptive field lies is answered here."""

    def get_pre_post_ordering(
        self, input_spikes: Tensor, output_spikes: Tensor, winners: Sequence[tuple[Any, ...]]
    ) -> list[Tensor]:
        """Return for each winner which synapses saw a spike before its own, or with it."""
        stride, (height, width) = self.conv_layer.stride, self.conv_layer.kernel_size
        seen, fired = input_spikes.sum(dim=0), output_spikes.sum(dim=0)  # the earlier, the more steps
        found = []
        for winner in winners:
            top, left = int(winner[1]) * stride, int(winner[2]) * stride
            found.append(seen[:, top : top + height, left : left + width] >= fired[winner])
        return found


def prepare(workload: Workload, record: bool) -> Run:
    """Build the layers; see `sleepdefense.bench.opponent.Prepare`."""
    train = torch.from_numpy(workload.train()).float().transpose(0, 1).contiguous()
    start = [torch.from_numpy(layer.weight.astype(np.float32) / workload.unit) for layer in workload.layers]
    thresholds = [layer.threshold / workload.unit for layer in workload.layers]
    convolutions, rules = [], []
    for layer, weight in zip(workload.layers, start, strict=True):
        features, channels, height, width = weight.shape
        convolution = snn.Convolution(channels, features, (height, width))
        convolution.stride = layer.stride
        convolutions.append(convolution)
        rules.append(StridedSTDP(convolution, LEARNING_RATE))

    def run() -> Outcome:
        for convolution, weight in zip(convolutions, start, strict=True):
            convolution.load_weight(weight)
        winners = np.full((len(train), len(start), max(workload.k), 4), -1, dtype=np.int32)
        kept: list[list[Tensor]] = [[] for _ in start]
        for image, signal in enumerate(train):
            for number, (convolution, rule) in enumerate(zip(convolutions, rules, strict=True)):
                padding = workload.layers[number].padding
                padded = functional.pad(signal, (padding,) * 4)
                potential, signal = integrate_and_fire(convolution(padded), thresholds[number])
                wave = signal.cummax(dim=0).values
                chosen = functional.get_k_winners(
                    potential * wave, workload.k[number], workload.radius[number], wave
                )
                rule(padded.cummax(dim=0).values, potential, wave, winners=chosen)
                for rank, winner in enumerate(chosen):
                    step = len(wave) - int(wave[(slice(None), *winner)].sum())
                    winners[image, number, rank] = (*winner, step)
                if record:
                    kept[number].append(signal)
        return Outcome(winners, tuple(as_train(images) for images in kept) if record else ())

    return run


def integrate_and_fire(current: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    """Return the membrane before the reset and the spikes, (time, feature, height, width)."""
    membrane = torch.zeros_like(current[0])
    potential, spikes = torch.empty_like(current), torch.empty_like(current)
    for step in range(len(current)):
        membrane += current[step]
        potential[step] = membrane
        spikes[step] = membrane > threshold
        membrane -= threshold * spikes[step]
    return potential, spikes


def as_train(images: list[Tensor]) -> NDArray[np.uint8]:
    """Return (time, image, feature, height, width)."""
    spikes: NDArray[np.uint8] = torch.stack(images, dim=1).to(torch.uint8).numpy()
    return spikes


OPPONENTS = (
    Opponent(
        name="SpykeTorch's functions",
        learning="image",
        prepare=prepare,
        goal="spyketorch",
        note="weights change after every image",
    ),
)
