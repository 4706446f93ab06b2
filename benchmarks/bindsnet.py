"""Opponent: BindsNET's convolutional connections with their STDP, stages S1 and S2 only.

It has no k-winner-take-all: every neuron learns at every step. So it does other work, and half of it, and the
ratio says what learning with this library costs, not more.
"""

import runpy
from pathlib import Path

import numpy as np
import torch

from sleepdefense.bench import NO_WINNERS, Opponent, Outcome, Workload
from sleepdefense.bench.opponent import Prepare, Run

stand_ins = runpy.run_path(str(Path(__file__).with_name("stand_ins.py")))["stand_ins"]
UNUSED = (
    "ale_py",
    "cv2",
    "gymnasium",
    "matplotlib",
    "mpl_toolkits",
    "pandas",
    "skimage",
    "tensorboardX",
    "torchvision",
)
with stand_ins(*UNUSED):
    from bindsnet import learning
    from bindsnet.network import Network
    from bindsnet.network.nodes import IFNodes, Input
    from bindsnet.network.topology import Conv2dConnection

NUM_STAGES = 2
RATE = (1e-4, 1e-4)


def preparing(rule: type) -> Prepare:
    """Return what builds the network with one of the library's rules."""

    def prepare(workload: Workload, record: bool) -> Run:
        train = torch.from_numpy(workload.train())
        _, num_images, *shape = train.shape

        def run() -> Outcome:
            network = Network(dt=1.0, batch_size=num_images)
            before = Input(shape=tuple(shape), traces=True)
            network.add_layer(before, "S0")
            for number, layer in enumerate(workload.layers[:NUM_STAGES]):
                neurons = IFNodes(
                    shape=workload.shapes[number + 1],
                    traces=True,
                    thresh=layer.threshold / workload.unit,
                    reset=0.0,
                    rest=0.0,
                )
                network.add_layer(neurons, f"S{number + 1}")
                connection = Conv2dConnection(
                    before,
                    neurons,
                    kernel_size=layer.weight.shape[2],
                    stride=layer.stride,
                    padding=layer.padding,
                    update_rule=rule,
                    nu=RATE,
                    wmin=0.0,
                    wmax=1.0,
                    w=torch.from_numpy(layer.weight.astype(np.float32) / workload.unit),
                )
                network.add_connection(connection, f"S{number}", f"S{number + 1}")
                before = neurons
            network.run(inputs={"S0": train}, time=workload.num_steps)
            return Outcome(NO_WINNERS)

        return run

    return prepare


OPPONENTS = tuple(
    Opponent(
        name=f"BindsNET {rule.__name__}, S1 and S2",
        learning="step",
        prepare=preparing(rule),
        num_images=4,
        num_steps=8,
        note="two of four stages, no competition: other learning",
    )
    for rule in (learning.PostPre, learning.WeightDependentPostPre)
)
