"""The plain chain of layers in a network that sleeps, for the engines that run nothing else."""

import itertools
import math
from dataclasses import dataclass

import numpy as np
import torch

from sleepdefense.consolidation.plan import SleepPlan
from sleepdefense.consolidation.plasticity import PlasticStage, Shape3
from sleepdefense.errors import SleepError
from sleepdefense.kernels import ChainLayer
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
            raise SleepError(f"{node.name!r}, a {node.op!r}, has no place in a plain chain")
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


def chain_layer(network: SpikingNetwork, link: Link) -> ChainLayer:
    """Return a layer in integers, in units of its grid, exactly as it acts in the simulator.

    Args:
        network: From `dreaming`.
        link: Which layer.
    """
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
