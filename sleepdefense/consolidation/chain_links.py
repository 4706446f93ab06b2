"""The plain chain of layers in a network that sleeps, for the engines that run nothing else."""

import itertools
import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

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
        pool: The window over which the spikes before it are averaged, (row, column) in pixels.
    """

    stage: PlasticStage
    kernel: tuple[int, int, int, int]
    pool: tuple[int, int] = (1, 1)


def find_chain(plan: SleepPlan) -> tuple[Shape3, tuple[Link, ...]]:
    """Return the image's shape and the layers from it to the last stage that sleeps.

    Raises:
        SleepError: On the way is something else than convolutions, linear maps, neurons, reshaping, and
            averages over windows whose area is a power of two.
    """
    network = plan.network
    plastic = {stage.name: stage for stage in plan.plastic}
    wanted = network.ancestors({stage.unit for stage in plan.stages})
    nodes = [node for node in network.nodes if node.name in wanted]
    image_shape = layout = _as_three(nodes[0].shape)
    links: list[Link] = []
    pool = (1, 1)
    for before, node in itertools.pairwise(nodes):
        if node.inputs != (before.name,) or node.gains != (1.0,):
            raise SleepError(f"the network is no chain: {node.name!r} joins or scales {node.inputs}")
        if node.op == "wiring" and _only_reshapes(node, before.shape):
            if not links:
                image_shape = layout = _as_three(node.shape)
        elif node.op == "wiring" and pool == (1, 1) and (window := _window(node, before.shape, layout)):
            pool, layout = window, _as_three(node.shape)
        elif node.op == "synapses" and node.name in plastic:
            stage = plastic[node.name]
            links.append(_link(stage, before.shape, layout, pool))
            layout, pool = stage.hidden, (1, 1)
        elif node.op != "fire":
            raise SleepError(f"{node.name!r}, a {node.op!r}, has no place in a plain chain")
    return image_shape, tuple(links)


def _link(stage: PlasticStage, shape: tuple[int, ...], layout: Shape3, pool: tuple[int, int]) -> Link:
    """Fit a layer to what comes before it: `layout` as it was produced, `shape` as it is read."""
    if len(shape) == 1:
        return Link(stage=stage, kernel=(stage.kernel[0], *layout), pool=pool)
    if shape != layout:
        raise SleepError(f"{stage.name!r} reads the shape {shape}, made of {layout} by reshaping")
    return Link(stage=stage, kernel=stage.kernel, pool=pool)


def _window(node: SpikingNode, shape: tuple[int, ...], layout: Shape3) -> tuple[int, int] | None:
    """Return the window of an average over windows side by side, if its area is a power of two."""
    if shape != layout or len(node.shape) != 3 or node.shape[0] != shape[0] or 0 in node.shape:
        return None
    window = shape[1] // node.shape[1], shape[2] // node.shape[2]
    area = window[0] * window[1]
    if area < 2 or area & (area - 1):
        return None
    assert node.apply is not None
    numbers = torch.arange(math.prod(shape), dtype=torch.float64).square().reshape(1, *shape)
    result, expected = node.apply(numbers), F.avg_pool2d(numbers, window)
    return window if result.shape == expected.shape and bool((result == expected).all()) else None


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
        pool=link.pool,
    )
