"""Compute every stage of a traced network, awake: the yardstick of its spiking twin."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sleepdefense.models.stages import StageGraph, StageNode


@torch.no_grad()
def awake_values(model: nn.Module, graph: StageGraph, images: Tensor) -> dict[str, Tensor]:
    """Return the value of every node of `graph` for a batch.

    Args:
        model: The network that was traced, or one of the same structure; it must be in evaluation mode.
        graph: What `trace_stages` returned.
        images: (batch, *unit), as the network sees them awake.

    Returns:
        Node name -> value, (batch, *unit); a map followed by a batch norm holds the normalised value.
    """
    modules: Mapping[str, Any] = dict(model.named_modules())
    values: dict[str, Tensor] = {}
    for node in graph.nodes:
        values[node.name] = _value(node, modules, [values[name] for name in node.inputs], images)
    return values


def _value(node: StageNode, modules: Mapping[str, Any], inputs: list[Tensor], images: Tensor) -> Tensor:
    if node.op == "input":
        return images
    if node.op == "add":
        return inputs[0] + inputs[1]
    (value,) = inputs
    if node.op == "relu":
        return torch.relu(value)
    if node.op == "sigmoid":
        return torch.sigmoid(value)
    if node.op == "tanh":
        return torch.tanh(value)
    if node.module or node.norm:
        if node.module:
            value = modules[node.module](value)
        if node.norm:
            value = modules[node.norm](value)
        return value
    assert node.apply is not None
    return node.apply(value)
