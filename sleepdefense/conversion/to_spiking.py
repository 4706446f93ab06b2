"""Awake network to spiking network, by weight normalisation."""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sleepdefense.conversion.folding import fold, normalised
from sleepdefense.conversion.scales import activity_scales
from sleepdefense.errors import ConversionError
from sleepdefense.models.replay import awake_values
from sleepdefense.models.stages import StageGraph, StageNode, trace_stages
from sleepdefense.spiking.network import SpikingNetwork, SpikingNode
from sleepdefense.spiking.synapses import Synapses, grid_bits_for

PASSIVE = {"average": "wiring", "reshape": "wiring", "upsample": "wiring", "pad": "wiring"}
MAPS = ("conv1d", "conv2d", "conv_transpose2d", "linear", "affine")
UNITS = ("relu", "sigmoid", "tanh")
_AGREEMENT = 1e-3


def to_spiking(
    model: nn.Module,
    calibration: Tensor,
    *,
    percentile: float = 99.9,
    batch_size: int = 128,
) -> SpikingNetwork:
    """Convert any feed-forward network of supported layers into a spiking one.

    Maps become synapses with their batch norm folded in, ReLUs become integrate-and-fire neurons of
    threshold 1, hidden sigmoids and tanhs stochastic neurons. Results (pixels, logits, mean, log variance)
    are read from the membrane of neurons that do not fire, and squashed there. Signed values between two
    maps (the latent layer of an autoencoder) are read out the same way and drive what follows as a
    constant current; so does a result that something follows (the denoised image of internal models).

    Args:
        model: The awake network. It is copied, never changed.
        calibration: Images as the network sees them awake, (image, *unit).
        percentile: Of the positive activations; each unit's scale. In (0, 100].
        batch_size: Images at a time; of no influence on the result.

    Returns:
        The spiking network, on the device of `calibration`.

    Raises:
        ConversionError: A layer cannot be converted (named), a unit is silent, or the traced graph does
            not compute what the network computes.

    Source:
        Diehl et al. 2015 and Rueckauer et al. 2017; docs/decisions.md, "Conversion".

    >>> model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    >>> network = to_spiking(model, torch.rand(64, 2))
    >>> [node.op for node in network.nodes]
    ['input', 'synapses', 'fire', 'synapses']
    """
    if len(calibration) == 0:
        raise ConversionError("'calibration' holds no images, expected some hundred")
    awake = copy.deepcopy(model).to(calibration.device).eval().requires_grad_(False)
    graph = trace_stages(awake, calibration)
    _check_faithful(awake, graph, calibration[: min(8, len(calibration))])
    relus = tuple(node.name for node in graph.nodes if node.op == "relu")
    scales = activity_scales(
        lambda batch: awake_values(awake, graph, batch),
        relus,
        calibration,
        percentile=percentile,
        batch_size=batch_size,
    )
    return assemble(awake, graph, scales, percentile=percentile, num_images=len(calibration))


def assemble(
    awake: nn.Module, graph: StageGraph, scales: Mapping[str, float], *, percentile: float, num_images: int
) -> SpikingNetwork:
    """Build the spiking network from a traced one and the scales of its rectified units.

    Args:
        awake: The traced network, in evaluation mode; kept, not copied.
        graph: From `trace_stages`.
        scales: Scale of every ReLU.
        percentile: Recorded in the settings.
        num_images: Recorded in the settings.
    """
    modules = dict(awake.named_modules())
    results = set(graph.outputs.values())
    nodes: dict[str, SpikingNode] = {}
    for stage in graph.nodes:
        nodes[stage.name] = _node(stage, graph, nodes, scales, modules, results)
    return SpikingNetwork(
        nodes=tuple(nodes.values()),
        outputs=dict(graph.outputs),
        origin={name: node.synapses.weight for name, node in nodes.items() if node.synapses is not None},
        awake=awake,
        settings={"percentile": percentile, "calibration_images": num_images},
    )


def _node(
    stage: StageNode,
    graph: StageGraph,
    nodes: Mapping[str, SpikingNode],
    scales: Mapping[str, float],
    modules: Mapping[str, Any],
    results: set[str],
) -> SpikingNode:
    sources = [nodes[name] for name in stage.inputs]
    scale = _scale(stage, graph, scales)
    gains = tuple(1.0 if stage.op in MAPS else source.scale / scale for source in sources)
    phase = max([source.phase for source in sources], default=0)
    if stage.op in MAPS and not _is_signal(graph, stage.inputs[0]):
        phase = sources[0].phase + 1
    facts: dict[str, Any] = {
        "name": stage.name,
        "inputs": stage.inputs,
        "gains": gains,
        "shape": stage.shape,
        "scale": scale,
        "phase": phase,
    }
    if stage.op == "input":
        return SpikingNode(op="input", is_binary=True, **facts)
    if stage.op in MAPS:
        return SpikingNode(
            op="synapses", synapses=_synapses(stage, modules, sources[0].scale, scale), **facts
        )
    if stage.op == "relu":
        return SpikingNode(op="fire", is_binary=True, **facts)
    if stage.op in ("sigmoid", "tanh"):
        if stage.name in results:
            return SpikingNode(op=stage.op, **facts)
        op = "bernoulli" if stage.op == "sigmoid" else "signed_bernoulli"
        return SpikingNode(op=op, is_binary=True, **facts)
    if stage.op == "add":
        return SpikingNode(op="sum", **facts)
    is_binary = sources[0].is_binary and stage.op != "average" and sources[0].phase == phase
    op = "max_pool" if stage.op == "max_pool" else "wiring"
    return SpikingNode(op=op, is_binary=is_binary, apply=stage.apply, **facts)


def _is_signal(graph: StageGraph, name: str) -> bool:
    """Is this value carried by spikes or by the image, and so can feed synapses in the same phase?"""
    node = graph.node(name)
    if node.op in ("sigmoid", "tanh") and name in graph.outputs.values():
        return False
    if node.op == "input" or node.op in UNITS:
        return True
    if node.op in MAPS:
        return False
    return all(_is_signal(graph, source) for source in node.inputs)


def _scale(stage: StageNode, graph: StageGraph, scales: Mapping[str, float]) -> float:
    """Return the scale of a node: its own, its source's, or that of the one unit that it drives."""
    if stage.op == "relu":
        return scales[stage.name]
    if stage.op in (*UNITS, "input"):
        return 1.0
    if stage.op in PASSIVE or stage.op == "max_pool":
        return _scale(graph.node(stage.inputs[0]), graph, scales)
    found = {_scale(unit, graph, scales) for unit in _driven(graph, stage.name)}
    return found.pop() if len(found) == 1 and not _is_read(graph, stage.name) else 1.0


def _driven(graph: StageGraph, name: str) -> list[StageNode]:
    """Return the units whose membrane the value of this node reaches."""
    units: list[StageNode] = []
    for user in graph.users(name):
        if user.op in UNITS:
            units.append(user)
        elif user.op not in MAPS:
            units += _driven(graph, user.name)
    return units


def _is_read(graph: StageGraph, name: str) -> bool:
    """Is this value, or a reshaped one, a result of the network or the input of another map?"""
    if name in graph.outputs.values():
        return True
    return any(
        user.op in MAPS or (user.op not in UNITS and _is_read(graph, user.name)) for user in graph.users(name)
    )


def _synapses(stage: StageNode, modules: Mapping[str, Any], scale_in: float, scale_out: float) -> Synapses:
    linear = modules[stage.module] if stage.module else None
    weight, bias = fold(linear, modules[stage.norm] if stage.norm else None, stage.name)
    weight, bias = normalised(weight, bias, scale_in, scale_out)
    if not bool(torch.isfinite(weight).all()):
        raise ConversionError(f"layer {stage.name!r} has weights that are not finite. Train it again.")
    axes = {"conv_transpose2d": (0, 2, 3), "affine": ()}.get(stage.op, tuple(range(1, weight.ndim)))
    options = {
        key: getattr(linear, key)
        for key in ("stride", "padding", "dilation", "groups", "output_padding")
        if linear is not None and not (key == "output_padding" and stage.op != "conv_transpose2d")
        if hasattr(linear, key)
    }
    return Synapses(
        kind=stage.op, weight=weight, bias=bias, options=options, grid_bits=grid_bits_for(weight, bias, axes)
    )


@torch.no_grad()
def _check_faithful(awake: nn.Module, graph: StageGraph, images: Tensor) -> None:
    """Refuse a traced graph that computes something else (in-place layers on a shared value, say)."""
    run = getattr(awake, "outputs", awake)
    result = run(images)
    if isinstance(result, Tensor):
        result = {"output": result}
    elif not isinstance(result, Mapping):
        result = {f"output{i}": value for i, value in enumerate(result)}
    values = awake_values(awake, graph, images)
    for key, value in result.items():
        found = values[graph.outputs[key]]
        tolerance = _AGREEMENT * max(1.0, float(value.abs().max()))
        if found.shape != value.shape or float((found - value).abs().max()) > tolerance:
            raise ConversionError(
                f"the traced stages do not reproduce the network's {key!r}. Does a layer change its input in "
                "place while another branch still uses it? Write it without in-place operations."
            )
