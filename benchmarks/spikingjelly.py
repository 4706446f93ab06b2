"""Opponent: spikingjelly's convolutions, its integrate-and-fire neurons and its STDP with traces.

It has no competition: every neuron learns at every step. So it does other work, and the ratio says what
learning with this library costs, not more.
"""

import runpy
from pathlib import Path

import numpy as np
import torch

from sleepdefense.bench import NO_WINNERS, Opponent, Outcome, Workload
from sleepdefense.bench.opponent import Run

stand_ins = runpy.run_path(str(Path(__file__).with_name("stand_ins.py")))["stand_ins"]
UNUSED = ("google", "loguru", "requests", "tensorboard", "torchaudio", "torchvision")
with stand_ins(*UNUSED):
    from spikingjelly.activation_based import layer as layers
    from spikingjelly.activation_based import learning, neuron

SCALE = 1e-5


def prepare(workload: Workload, record: bool) -> Run:
    """Build the layers; see `sleepdefense.bench.opponent.Prepare`."""
    train = torch.from_numpy(workload.train()).float()

    def run() -> Outcome:
        stages = []
        for layer in workload.layers:
            features, channels, height, width = layer.weight.shape
            convolution = layers.Conv2d(
                channels, features, (height, width), layer.stride, layer.padding, bias=False
            )
            convolution.weight.data = torch.from_numpy(layer.weight.astype(np.float32) / workload.unit)
            neurons = neuron.IFNode(v_threshold=layer.threshold / workload.unit, v_reset=None)
            rule = learning.STDPLearner(
                step_mode="s",
                synapse=convolution,
                sn=neurons,
                tau_pre=2.0,
                tau_post=2.0,
                f_pre=lambda weight: weight * (1 - weight),
                f_post=lambda weight: weight * (1 - weight),
            )
            stages.append((convolution, neurons, rule))
        for signal in train:
            for convolution, neurons, _ in stages:
                signal = neurons(convolution(signal))
            for convolution, _, rule in stages:
                convolution.weight.data += rule.step(on_grad=False, scale=SCALE)
        return Outcome(NO_WINNERS)

    return run


OPPONENTS = (
    Opponent(
        name="spikingjelly STDPLearner",
        learning="step",
        prepare=prepare,
        num_images=2,
        num_steps=3,
        note="no competition: other learning",
    ),
)
