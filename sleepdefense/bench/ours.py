"""What the opponents are compared with: the kernels alone, and a batch of a sleep with all that is in it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import nn

from sleepdefense.bench.workload import Workload
from sleepdefense.consolidation import STDP, SleepConfig
from sleepdefense.consolidation.consolidator import Consolidator
from sleepdefense.consolidation.course import Course
from sleepdefense.consolidation.fused import FusedEngine
from sleepdefense.consolidation.plan import SleepPlan, settle
from sleepdefense.consolidation.presenting import Presenter
from sleepdefense.conversion import to_spiking
from sleepdefense.kernels import Sleeper, SleepRecord, WeightType
from sleepdefense.spiking import SpikingNetwork

Competition = Literal["image", "step"]


def prepare_kernels(
    workload: Workload,
    competition: Competition = "image",
    *,
    learns: bool,
    weight_type: WeightType = "i16",
    threads: int = 1,
) -> Callable[[], SleepRecord]:
    """Return what simulates the workload with a chain that is packed already, and changes no weight.

    Args:
        workload: What is simulated.
        competition: Winners per image or per step.
        learns: Choose winners and count pairings; otherwise the network only fires.
        weight_type: How the kernels hold weights.
        threads: Workers.

    Raises:
        ValueError: The network does not fit the type.
    """
    _, channels, height, width = workload.images.shape
    chain = Sleeper(workload.layers, (channels, height, width), weight_type=weight_type, threads=threads)

    def run() -> SleepRecord:
        return chain.present(
            workload.images,
            workload.index,
            seed=workload.seed,
            num_steps=workload.num_steps,
            competition=competition,
            k=workload.k,
            radius=workload.radius,
            learns=[learns] * len(workload.layers),
        )

    return run


class Batch(NamedTuple):
    """A batch of a real sleep.

    Attributes:
        plan: Of the sleep.
        course: Where it stands before the batch.
        run: From the weights before the batch to those after it, and on with the next batch at every call.
    """

    plan: SleepPlan
    course: Course
    run: Callable[[], Course]


def prepare_sleep(workload: Workload, competition: Competition) -> Batch:
    """Set up a sleep of this network with the settings of the package, and stop before its first batch.

    The batch does what every batch of a sleep does: bring the weights that changed to the grid, present the
    images, choose winners, count, let the rule change the masters, measure the dose. Called again, it is the
    next batch, of the same images and spikes; the weights have hardly changed.

    Args:
        workload: What is presented.
        competition: Winners per image or per step.
    """
    network = _as_spiking(workload)
    config = SleepConfig(
        num_steps=workload.num_steps,
        batch_size=len(workload.images),
        competition=competition,
        k=workload.k,
        radius=workload.radius,
        rho=None,
        strength=1.0,
        seed=workload.seed,
    )
    rule = STDP()
    plan = settle(network, rule, config)
    presenter = Presenter(plan, FusedEngine(plan, threads=1), thresholds={})
    names = {stage.name for stage in plan.stages}
    origin = {name: weight.numpy().copy() for name, weight in network.weights.items() if name in names}
    consolidator = Consolidator(plan, rule, origin)
    begun = course = consolidator.begin(origin, frozenset())
    images, batch = torch.from_numpy(workload.images), 0

    def run() -> Course:
        nonlocal course, batch
        events = presenter.present(batch, course, images, workload.index, names)
        course = consolidator.advance(course, dict.fromkeys(names, 1.0), events, len(images))
        batch += 1
        return course

    return Batch(plan, begun, run)


def _as_spiking(workload: Workload) -> SpikingNetwork:
    """Build the network as a converted one, with exactly the weights and thresholds of the workload."""
    stages: list[nn.Module] = []
    for layer in workload.layers:
        features, channels, kernel_h, kernel_w = layer.weight.shape
        conv = nn.Conv2d(
            channels, features, (kernel_h, kernel_w), layer.stride, padding=layer.padding, bias=False
        )
        conv.weight.data = torch.from_numpy((layer.weight / workload.unit).astype(np.float32))
        stages += [conv, nn.ReLU()]
    head = nn.Linear(int(np.prod(workload.shapes[-1])), 1)
    converted = to_spiking(
        nn.Sequential(*stages, nn.Flatten(), head), torch.from_numpy(workload.images[:8].copy())
    )
    bits = workload.unit.bit_length() - 1
    nodes, number = [], 0
    for node in converted.nodes:
        if node.op == "synapses" and node.synapses is not None and node.synapses.kind == "conv2d":
            layer = workload.layers[number]
            weight = torch.from_numpy((layer.weight / workload.unit).astype(np.float32))
            node = replace(node, synapses=replace(node.synapses, weight=weight, grid_bits=bits))
        elif node.op == "fire":
            node = replace(node, threshold=workload.layers[number].threshold / workload.unit)
            number += 1
        nodes.append(node)
    return replace(converted, nodes=tuple(nodes))
