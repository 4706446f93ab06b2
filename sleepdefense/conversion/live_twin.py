"""A spiking twin that shares its weights with an awake network while that one is trained.

`to_spiking` copies weights. Here they stay those of the awake network: a loss of the twin has gradients with
respect to them, through weight normalisation, the folded batch norms and the surrogate of the spikes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from sleepdefense.conversion.folding import folded, normalised
from sleepdefense.conversion.to_spiking import to_spiking
from sleepdefense.conversion.watched_norms import Norm
from sleepdefense.models.stages import StageGraph, trace_stages
from sleepdefense.spiking.network import SpikingNetwork


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveTwin:
    """The scales and the structure of a spiking twin, without weights.

    Attributes:
        network: As it was converted.
        graph: The stages it was converted from.
    """

    network: SpikingNetwork
    graph: StageGraph

    def of(self, model: nn.Module, norms: Mapping[str, Norm] | None = None) -> SpikingNetwork:
        """Return the twin of the present weights of `model`, differentiable.

            weight' = folded weight * scale_in / scale_out,    bias' = folded bias / scale_out

        The scales and the grids of the weights are constants: no gradient flows into them. They follow the
        weights only where the twin is prepared anew, so this is for weights that have not moved far since.

        Args:
            model: The network that was prepared, or one of the same structure, in any mode.
            norms: Batch norms by name, to be folded in as they are; those of `watched_norms` follow the batch
                as the awake network does in training. By default all use their running statistics.

        Returns:
            A network for `simulate`, to be differentiated with a backend that has surrogate gradients. With
            the weights that were prepared it is the converted network, bit for bit.
        """
        modules: dict[str, Any] = dict(model.named_modules())
        found = {**modules, **(norms or {})}
        nodes = []
        for node in self.network.nodes:
            if node.synapses is None:
                nodes.append(node)
                continue
            stage = self.graph.node(node.name)
            weight, bias = folded(
                modules[stage.module] if stage.module else None,
                found[stage.norm] if stage.norm else None,
                stage.name,
            )
            weight, bias = normalised(weight, bias, self.network.node(stage.inputs[0]).scale, node.scale)
            nodes.append(replace(node, synapses=replace(node.synapses, weight=weight, bias=bias)))
        return replace(self.network, nodes=tuple(nodes))


def live_twin(model: nn.Module, calibration: Tensor, *, percentile: float = 99.9) -> LiveTwin:
    """Measure the scales of a network as it is now.

    Args:
        model: Any network that `to_spiking` converts. It is only read.
        calibration: Images as the network sees them awake, (image, *unit).
        percentile: Of the positive activations, as in `to_spiking`.

    Raises:
        ConversionError: As `to_spiking`.
    """
    network = to_spiking(model, calibration, percentile=percentile)
    entry = network.nodes[0]
    example = torch.zeros(1, *entry.shape, device=calibration.device)
    return LiveTwin(network=network, graph=trace_stages(network.awake, example))
