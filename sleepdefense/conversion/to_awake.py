"""Spiking network back to awake network: only what changed is carried over."""

import copy
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from sleepdefense.conversion.folding import NEGLIGIBLE_GAIN, along_outputs, batch_norm_gain
from sleepdefense.errors import ConversionError
from sleepdefense.models.stages import StageNode, trace_stages
from sleepdefense.spiking.network import SpikingNetwork


@runtime_checkable
class CarriesNetwork(Protocol):
    """Anything with a spiking network in it: the result of a sleep."""

    @property
    def network(self) -> SpikingNetwork:
        """The spiking network."""


@torch.no_grad()
def to_awake(spiking: SpikingNetwork | CarriesNetwork) -> nn.Module:
    """Return a new awake network that learned what the spiking one learned.

    For every map, with g the gain of the batch norm folded into it,

        weight_awake += (weight - weight_as_converted) * scale_out / scale_in / g

    so that a network that did not sleep comes back bit for bit, batch norms and all. Where nothing changed
    nothing is touched; a channel whose batch norm multiplies it by zero keeps its weights.

    Args:
        spiking: A converted network, or the result of a sleep.

    Returns:
        A network like the one that was converted, in evaluation mode.

    Raises:
        ConversionError: A changed weight is not finite.
    """
    network = spiking if isinstance(spiking, SpikingNetwork) else spiking.network
    model = copy.deepcopy(network.awake)
    modules: dict[str, Any] = dict(model.named_modules())
    entry = network.nodes[0]
    parameter = next(model.parameters(), torch.zeros(1))
    graph = trace_stages(model, torch.zeros(1, *entry.shape, device=parameter.device))
    for stage in graph.nodes:
        synapses = network.node(stage.name).synapses
        if synapses is None or stage.module is None:
            continue
        change = synapses.weight.double() - network.origin[stage.name].double()
        if not bool(change.any()):
            continue
        weight = modules[stage.module].weight
        weight.copy_(_changed(weight, change, stage, network, modules))
    return model.eval().requires_grad_(True)


def _changed(
    weight: Tensor, change: Tensor, stage: StageNode, network: SpikingNetwork, modules: dict[str, Any]
) -> Tensor:
    if not bool(torch.isfinite(change).all()):
        raise ConversionError(
            f"layer {stage.name!r} slept into weights that are not finite; use a smaller dose"
        )
    source = network.node(stage.inputs[0])
    change = change * (network.node(stage.name).scale / source.scale)
    if stage.norm is not None:
        gain = batch_norm_gain(modules[stage.norm])
        dead = gain.abs() < NEGLIGIBLE_GAIN
        inverse = torch.where(
            dead, torch.zeros_like(gain), 1 / torch.where(dead, torch.ones_like(gain), gain)
        )
        change = change * along_outputs(inverse, modules[str(stage.module)], change.ndim)
    return torch.where(change == 0, weight, (weight.double() + change).to(weight.dtype))
