"""The fast engine: a plain chain of layers, compiled from pixels to counts."""

import itertools
import math
import os
from collections.abc import Set
from dataclasses import dataclass
from typing import cast, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import override

from sleepdefense.consolidation.engine import AbstractEngine, BatchEvents
from sleepdefense.consolidation.plan import SleepPlan
from sleepdefense.consolidation.plasticity import PlasticStage, Shape3
from sleepdefense.errors import ConfigError, SleepError
from sleepdefense.kernels import ChainLayer, Competition, sleep_images
from sleepdefense.spiking.network import SpikingNetwork, SpikingNode


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One layer of the chain.

    Attributes:
        stage: The layer; it may sleep or not.
        kernel: Its weight's shape as a convolution over the layer before, which for a linear map behind a
            flattening is a kernel that covers it whole.
    """

    stage: PlasticStage
    kernel: tuple[int, int, int, int]


@final
class FusedEngine(AbstractEngine):
    """Runs `kernels.sleep_images`, on the processor.

    Args:
        plan: What is settled.
        threads: Workers, >= 1; None: one for each core. Without influence on the result.

    Raises:
        SleepError: The network is no plain chain up to the last stage that sleeps; the message says where.
        ConfigError: `threads` < 1.
    """

    def __init__(self, plan: SleepPlan, threads: int | None) -> None:
        if threads is not None and threads < 1:
            raise ConfigError(f"'threads' must be >= 1, got {threads}")
        self.plan = plan
        self.threads = threads or os.cpu_count() or 1
        self.image_shape, self.links = find_chain(plan)
        self.note = "engine: fused"

    @override
    def present(
        self, network: SpikingNetwork, images: Tensor, index: NDArray[np.int64], learns: Set[str]
    ) -> BatchEvents:
        config = self.plan.config
        names = [link.stage.name for link in self.links]
        record = sleep_images(
            np.ascontiguousarray(
                images.detach().cpu().float().numpy().reshape(len(images), *self.image_shape)
            ),
            index,
            [_layer(network, link) for link in self.links],
            seed=config.seed,
            num_steps=config.num_steps,
            competition=cast(Competition, config.competition),
            k=[self.plan.contests[name].k for name in names],
            radius=[self.plan.contests[name].radius for name in names],
            learns=[name in learns for name in names],
            depress_outside=config.outside == "depress",
            as_printed=config.order == "as-printed",
            threads=self.threads,
        )
        layers = {name: number for number, name in enumerate(names) if name in learns}
        shapes = {name: network.weights[name].shape for name in layers}
        return BatchEvents(
            potentiation={name: record.potentiation[i].reshape(shapes[name]) for name, i in layers.items()},
            depression={name: record.depression[i].reshape(shapes[name]) for name, i in layers.items()},
            winners={name: record.winner_count[i] for name, i in layers.items()},
            spikes={
                stage.name: int(record.spike_count[names.index(stage.name)]) for stage in self.plan.stages
            },
        )


def find_chain(plan: SleepPlan) -> tuple[Shape3, tuple[Link, ...]]:
    """Return the image's shape and the layers from it to the last stage that sleeps.

    Raises:
        SleepError: On the way is something else than convolutions, linear maps, neurons and reshaping.
    """
    network = plan.network
    plastic = {stage.name: stage for stage in plan.plastic}
    wanted = network.ancestors({stage.unit for stage in plan.stages})
    nodes = [node for node in network.nodes if node.name in wanted]
    image_shape = layout = _as_three(nodes[0].shape)
    links: list[Link] = []
    for before, node in itertools.pairwise(nodes):
        if node.inputs != (before.name,) or node.gains != (1.0,):
            raise SleepError(f"the network is no chain: {node.name!r} joins or scales {node.inputs}")
        if node.op == "wiring" and _only_reshapes(node, before.shape):
            if not links:
                image_shape = layout = _as_three(node.shape)
        elif node.op == "synapses" and node.name in plastic:
            stage = plastic[node.name]
            links.append(_link(stage, before.shape, layout))
            layout = stage.hidden
        elif node.op != "fire":
            raise SleepError(f"{node.name!r}, a {node.op!r}, has no place in the fused engine")
    return image_shape, tuple(links)


def _link(stage: PlasticStage, shape: tuple[int, ...], layout: Shape3) -> Link:
    """Fit a layer to what comes before it: `layout` as it was produced, `shape` as it is read."""
    if len(shape) == 1:
        return Link(stage=stage, kernel=(stage.kernel[0], *layout))
    if shape != layout:
        raise SleepError(f"{stage.name!r} reads the shape {shape}, made of {layout} by reshaping")
    return Link(stage=stage, kernel=stage.kernel)


def _as_three(shape: tuple[int, ...]) -> Shape3:
    """Give a shape three axes: reading order is the same."""
    if len(shape) == 3:
        return shape[0], shape[1], shape[2]
    return math.prod(shape), 1, 1


def _only_reshapes(node: SpikingNode, shape: tuple[int, ...]) -> bool:
    """Does the operation leave all values in their reading order?"""
    assert node.apply is not None
    numbers = torch.arange(math.prod(shape), dtype=torch.float64)
    result = node.apply(numbers.reshape(1, *shape))
    return result.numel() == numbers.numel() and bool((result.flatten() == numbers).all())


def _layer(network: SpikingNetwork, link: Link) -> ChainLayer:
    """Bring a layer to integers in units of its grid, exactly as it acts in the simulator."""
    synapses = network.node(link.stage.name).synapses
    assert synapses is not None
    weight, bias = synapses.on_grid(torch.float64, torch.device("cpu"))
    unit = 2.0**synapses.grid_bits
    features = link.kernel[0]
    return ChainLayer(
        weight=np.ascontiguousarray((weight * unit).numpy().astype(np.int32).reshape(link.kernel)),
        bias=np.zeros(features, dtype=np.int32)
        if bias is None
        else np.ascontiguousarray((bias * unit).numpy().astype(np.int32)),
        threshold=int(network.node(link.stage.unit).threshold * unit),
        stride=link.stage.stride,
        padding=link.stage.padding,
    )
