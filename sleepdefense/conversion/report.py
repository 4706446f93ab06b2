"""What became of every layer, and how close the spiking network is to the awake one."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sleepdefense.errors import ConversionError
from sleepdefense.models.replay import awake_values
from sleepdefense.models.stages import StageGraph, StageNode, trace_stages
from sleepdefense.spiking.network import SpikingNetwork
from sleepdefense.spiking.simulate import simulate

FATES = {
    "input": "constant current of the pixels",
    "relu": "integrate-and-fire neurons",
    "sigmoid": "stochastic binary neurons",
    "tanh": "stochastic signed neurons",
    "max_pool": "passes the largest spike count",
    "average": "averages spikes",
    "reshape": "reshaped",
    "upsample": "repeats spikes",
    "pad": "padded with silence",
    "add": "currents added",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerReport:
    """One node of the network.

    Attributes:
        name: Its name.
        fate: What became of it, in words.
        scale: Awake value = scale * signal.
        clipped: Share of the positive activations above the scale, in [0, 1]; None where nothing fires.
        rate: Firing node: mean spikes a step at the largest number of steps.
        correlation: Number of steps -> Pearson correlation of signal and awake value.
        error: Number of steps -> root mean squared error, as a fraction of the root mean square of the awake
            value.
    """

    name: str
    fate: str
    scale: float
    clipped: float | None
    rate: float | None
    correlation: dict[int, float]
    error: dict[int, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionReport:
    """All layers, first to last, and what was removed."""

    layers: tuple[LayerReport, ...]
    removed: tuple[tuple[str, str], ...]
    num_steps: tuple[int, ...]
    num_images: int

    def __str__(self) -> str:
        head = f"{'layer':<24} {'scale':>9} {'clipped':>8} {'rate':>7}  " + " ".join(
            f"{f'r({steps})':>8} {f'e({steps})':>8}" for steps in self.num_steps
        )
        lines = [head + "  what became of it", "-" * len(head)]
        for layer in self.layers:
            numbers = " ".join(
                f"{_number(layer.correlation.get(steps), 4):>8} {_number(layer.error.get(steps), 4):>8}"
                for steps in self.num_steps
            )
            lines.append(
                f"{layer.name:<24} {layer.scale:>9.4g} {_number(layer.clipped, 4):>8} "
                f"{_number(layer.rate, 4):>7}  {numbers}  {layer.fate}"
            )
        lines += [f"{name:<24} removed: {reason}" for name, reason in self.removed]
        lines.append(
            f"{self.num_images} images, constant input current; r: correlation with the awake value, "
            "e: relative error, after that many steps"
        )
        return "\n".join(lines)


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


@torch.no_grad()
def conversion_report(
    network: SpikingNetwork,
    images: Tensor,
    *,
    num_steps: Sequence[int] = (4, 16, 64, 256),
    batch_size: int = 32,
) -> ConversionReport:
    """Compare every layer of a spiking network with the awake one it was made from.

    Args:
        network: What `to_spiking` returned, before any sleep.
        images: (image, *unit); some dozens do.
        num_steps: Lengths of the runs to compare.
        batch_size: Images at a time; of no influence on the result.

    Returns:
        The report; printing it gives a table.

    Raises:
        ConversionError: A layer that is active awake does not fire in the longest run.
    """
    graph = trace_stages(network.awake, images)
    sums = {(node.name, steps): _Moments() for node in graph.nodes for steps in num_steps}
    clipped = {node.name: [0, 0] for node in graph.nodes if node.op == "relu"}
    for batch in images.split(batch_size):
        awake = awake_values(network.awake, graph, batch)
        for name, count in clipped.items():
            count[0] += int((awake[name] > network.node(name).scale * (1 + 1e-6)).sum())
            count[1] += int((awake[name] > 0).sum())
        for steps in num_steps:
            means = mean_signals(network, batch, steps)
            for node in graph.nodes:
                sums[node.name, steps].add(means[node.name] * network.node(node.name).scale, awake[node.name])
    layers = tuple(_layer(node, graph, network, sums, clipped, num_steps) for node in graph.nodes)
    return ConversionReport(
        layers=layers, removed=graph.removed, num_steps=tuple(num_steps), num_images=len(images)
    )


def mean_signals(network: SpikingNetwork, images: Tensor, num_steps: int) -> dict[str, Tensor]:
    """Return the mean signal of every node over a run with constant input current, (batch, *unit)."""
    record = simulate(network, images, num_steps=num_steps, until={node.name for node in network.nodes})
    return dict(record.means)


class _Moments:
    """Running sums for a correlation and an error."""

    def __init__(self) -> None:
        self.sums = torch.zeros(6, dtype=torch.float64)

    def add(self, signal: Tensor, awake: Tensor) -> None:
        x, y = signal.double().flatten(), awake.double().flatten()
        self.sums += torch.stack(
            [torch.tensor(float(x.numel())), x.sum(), y.sum(), (x * x).sum(), (y * y).sum(), (x * y).sum()]
        )

    @property
    def correlation(self) -> float:
        n, x, y, xx, yy, xy = self.sums.tolist()
        spread = ((xx - x * x / n) * (yy - y * y / n)) ** 0.5
        return (xy - x * y / n) / spread if spread > 0 else 0.0

    @property
    def error(self) -> float:
        _, _, _, xx, yy, xy = self.sums.tolist()
        return float((max(xx - 2 * xy + yy, 0.0) / yy) ** 0.5) if yy > 0 else 0.0

    @property
    def mean(self) -> float:
        return float(self.sums[1] / self.sums[0])


def _layer(
    node: StageNode,
    graph: StageGraph,
    network: SpikingNetwork,
    sums: dict[tuple[str, int], _Moments],
    clipped: dict[str, list[int]],
    num_steps: Sequence[int],
) -> LayerReport:
    twin = network.node(node.name)
    rate = None
    if twin.op == "fire":
        rate = sums[node.name, max(num_steps)].mean / twin.scale
        if rate <= 0:
            raise ConversionError(
                f"layer {node.name!r} is silent: no spike in {max(num_steps)} steps over the given images. "
                "Convert with more calibration images, or a smaller percentile."
            )
    count = clipped.get(node.name)
    return LayerReport(
        name=node.name,
        fate=_fate(node, graph, twin.op),
        scale=twin.scale,
        clipped=None if count is None else count[0] / max(count[1], 1),
        rate=rate,
        correlation={steps: sums[node.name, steps].correlation for steps in num_steps},
        error={steps: sums[node.name, steps].error for steps in num_steps},
    )


def _fate(node: StageNode, graph: StageGraph, twin_op: str) -> str:
    if twin_op in ("sigmoid", "tanh"):
        return f"{twin_op} of the mean membrane of neurons that do not fire"
    if node.op in FATES:
        return FATES[node.op]
    folded = f", {node.norm} folded in" if node.norm and node.module else ""
    if any(user.module for user in graph.users(node.name)) or node.name in graph.outputs.values():
        return f"synapses{folded}; read from the membrane"
    return f"synapses{folded}"
