"""Which layer of the decoder is the mirror twin of which stage of the encoder."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sleepdefense.consolidation.plasticity import PlasticStage
from sleepdefense.spiking.network import SpikingNetwork, SpikingNode


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    """The pairs of a network.

    Attributes:
        twins: Encoder stage -> decoder map with mirrored weights.
        notes: For each stage without a twin, why.
    """

    twins: dict[str, str]
    notes: tuple[str, ...]


def find_mirror(network: SpikingNetwork, stages: tuple[PlasticStage, ...]) -> Mirror:
    """Match encoder and decoder from the outside in: the first stage with the last map, and so on.

    A convolution (feature, channel, kernel_h, kernel_w) is mirrored by a transposed convolution whose weight
    has the same shape, with the same stride and padding, from the hidden back to the visible units; a linear
    map (out, in) by a linear map (in, out).

    Args:
        network: A converted network.
        stages: All that can sleep, first to last.

    Source:
        Talafha et al. 2023, section 3.4: "synaptic plasticity is identical for both feedback and feedforward
        connections"; docs/decisions.md, "Sleep".
    """
    plastic = {stage.name for stage in stages}
    places = [index for index, node in enumerate(network.nodes) if node.name in plastic]
    decoder = [
        node
        for node in network.nodes[places[-1] + 1 :]
        if node.synapses is not None and node.synapses.kind in ("conv_transpose2d", "linear")
    ][::-1]
    twins: dict[str, str] = {}
    notes: list[str] = []
    for stage, twin in zip(stages, decoder, strict=False):
        reason = _why_no_twin(network, stage, twin)
        if reason is None:
            twins[stage.name] = twin.name
        else:
            notes.append(f"stage {stage.name!r} has no mirror twin: {twin.name!r}, at its place, {reason}")
    notes += [
        f"stage {stage.name!r} has no mirror twin: nothing is left at its place"
        for stage in stages[len(decoder) :]
    ]
    return Mirror(twins=twins, notes=tuple(notes))


def mirrored(counts: NDArray[Any]) -> NDArray[Any]:
    """Lay out the counts of a stage, shaped like its weight, as the weight of its twin."""
    return counts.T if counts.ndim == 2 else counts


def as_rows(weight: NDArray[Any], *, is_twin: bool) -> NDArray[Any]:
    """See a weight, or its counts, as the kernels do: one row for each feature of the stage.

    Args:
        weight: Of a stage or its twin, as the layer lays it out.
        is_twin: It is that of the twin, where it is mirrored.

    Returns:
        (feature, synapse), C-contiguous; a view where that is possible.
    """
    own = mirrored(weight) if is_twin else weight
    return np.ascontiguousarray(own).reshape(len(own), -1)


def from_rows(rows: NDArray[Any], shape: tuple[int, ...], *, is_twin: bool) -> NDArray[Any]:
    """See rows, (feature, synapse), as the layer lays them out, in `shape`; always a view."""
    return rows.T if is_twin and len(shape) == 2 else rows.reshape(shape)


def _why_no_twin(network: SpikingNetwork, stage: PlasticStage, twin: SpikingNode) -> str | None:
    own = network.node(stage.name).synapses
    assert own is not None
    assert twin.synapses is not None
    expected_kind = "linear" if own.kind == "linear" else "conv_transpose2d"
    shape = tuple(own.weight.shape)
    expected = shape[::-1] if own.kind == "linear" else shape
    if twin.synapses.kind != expected_kind or tuple(twin.synapses.weight.shape) != expected:
        return (
            f"is of kind {twin.synapses.kind!r} with weights {tuple(twin.synapses.weight.shape)}, "
            f"expected {expected_kind!r} with {expected}"
        )
    if expected_kind == "conv_transpose2d":
        options = twin.synapses.options
        found = tuple(options["stride"]), tuple(options["padding"])
        if found != (stage.stride, stage.padding) or options["groups"] != 1:
            return f"has stride and padding {found}, expected {(stage.stride, stage.padding)}"
        if tuple(options["dilation"]) != (1, 1):
            return "is dilated"
    source = network.node(twin.inputs[0])
    if math.prod(source.shape) != stage.num_neurons or math.prod(twin.shape) != math.prod(stage.visible):
        return f"leads from {source.shape} to {twin.shape}, expected from {stage.hidden} to {stage.visible}"
    return None
