"""Which synapses of a spiking network can sleep, and why the others cannot."""

import math
from dataclasses import dataclass

from sleepdefense.errors import SleepError
from sleepdefense.spiking.network import SpikingNetwork, SpikingNode
from sleepdefense.spiking.synapses import Synapses

Shape3 = tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlasticStage:
    """One linear map between two populations of spiking units, seen as a convolution.

    A linear map is a convolution of kernel 1 over one pixel with as many channels as inputs.

    Attributes:
        name: Of the node that holds the weights.
        source: Of the node whose spikes come in: the visible units.
        unit: Of the node whose neurons fire: the hidden units.
        kernel: (feature, channel, kernel_h, kernel_w), the weight's shape with axes of length 1 added.
        visible: (channel, height, width).
        hidden: (feature, height, width).
        stride: (row, column), in visible pixels.
        padding: (row, column), in visible pixels.
        is_stochastic: Whether the hidden units draw whether to spike, from the sigmoid of their mean drive;
            such units have no threshold, and that mean is the potential by which they compete.
    """

    name: str
    source: str
    unit: str
    kernel: tuple[int, int, int, int]
    visible: Shape3
    hidden: Shape3
    stride: tuple[int, int]
    padding: tuple[int, int]
    is_stochastic: bool = False

    @property
    def num_neurons(self) -> int:
        """Number of hidden neurons."""
        return math.prod(self.hidden)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plasticity:
    """What can sleep.

    Attributes:
        stages: First to last.
        reasons: Name of any other linear map -> why it stays as it is.
    """

    stages: tuple[PlasticStage, ...]
    reasons: dict[str, str]


def find_plasticity(network: SpikingNetwork) -> Plasticity:
    """Return the synapses between units that spike: convolutions and linear maps before ReLUs or sigmoids.

    Args:
        network: A converted network.

    Raises:
        SleepError: There is none; the message names the network and says why each map is none.
    """
    stages: list[PlasticStage] = []
    reasons: dict[str, str] = {}
    for node in network.nodes:
        if node.synapses is None:
            continue
        found = _stage(network, node, node.synapses)
        if isinstance(found, str):
            reasons[node.name] = found
        else:
            stages.append(found)
    if not stages:
        why = "; ".join(f"{name!r} {reason}" for name, reason in reasons.items()) or "it has no weights"
        raise SleepError(
            f"network {type(network.awake).__name__!r} has nothing that can sleep: {why}. A sleep needs a "
            "convolution or a linear map whose outputs go through a ReLU, or through a hidden sigmoid."
        )
    return Plasticity(stages=tuple(stages), reasons=reasons)


def choose_stages(plasticity: Plasticity, names: tuple[str, ...] | None) -> tuple[PlasticStage, ...]:
    """Return the stages that shall sleep, first to last.

    Args:
        plasticity: What can sleep.
        names: What shall; None: all that can.

    Raises:
        SleepError: One of them cannot.
    """
    if names is None:
        return plasticity.stages
    can = [stage.name for stage in plasticity.stages]
    for name in names:
        if name not in can:
            reason = plasticity.reasons.get(name, "is no layer with weights")
            raise SleepError(f"stage {name!r} cannot sleep: it {reason}. Those that can are {', '.join(can)}")
    return tuple(stage for stage in plasticity.stages if stage.name in names)


def _stage(network: SpikingNetwork, node: SpikingNode, synapses: Synapses) -> PlasticStage | str:
    """Return the stage, or why it is none."""
    if node.phase > 0:
        return "lies behind values that no spike can carry"
    source = network.node(node.inputs[0])
    if not _carries_spikes(network, source):
        return f"receives graded or signed values from {source.name!r}, not spikes"
    unit = _unit(network, node)
    if isinstance(unit, str):
        return unit
    if synapses.kind == "linear":
        if len(source.shape) != 1:
            return f"acts along one axis of an input of shape {source.shape}"
        features, inputs = synapses.weight.shape
        return PlasticStage(
            name=node.name,
            source=source.name,
            unit=unit.name,
            kernel=(features, inputs, 1, 1),
            visible=(inputs, 1, 1),
            hidden=(features, 1, 1),
            stride=(1, 1),
            padding=(0, 0),
            is_stochastic=unit.op == "bernoulli",
        )
    if synapses.kind != "conv2d":
        return f"is of kind {synapses.kind!r}"
    return _convolution(node, synapses, source, unit)


def _convolution(
    node: SpikingNode, synapses: Synapses, source: SpikingNode, unit: SpikingNode
) -> PlasticStage | str:
    options = synapses.options
    if options["groups"] != 1:
        return f"is a convolution in {options['groups']} groups"
    if tuple(options["dilation"]) != (1, 1):
        return f"is a convolution with dilation {tuple(options['dilation'])}"
    features, channels, kernel_h, kernel_w = synapses.weight.shape
    padding = options["padding"]
    if padding == "valid":
        padding = (0, 0)
    if padding == "same":
        if kernel_h % 2 == 0 or kernel_w % 2 == 0:
            return "pads by 'same' around an even kernel, more on one side than on the other"
        padding = (kernel_h // 2, kernel_w // 2)
    _, height, width = source.shape
    features, out_height, out_width = node.shape
    return PlasticStage(
        name=node.name,
        source=source.name,
        unit=unit.name,
        kernel=(features, channels, kernel_h, kernel_w),
        visible=(channels, height, width),
        hidden=(features, out_height, out_width),
        stride=(options["stride"][0], options["stride"][1]),
        padding=(padding[0], padding[1]),
        is_stochastic=unit.op == "bernoulli",
    )


def _carries_spikes(network: SpikingNetwork, node: SpikingNode) -> bool:
    """Is the signal spikes, or averages of spikes, in every step?

    A visible unit that averages spikes when one of those does.
    """
    if node.op in ("wiring", "max_pool"):
        source = network.node(node.inputs[0])
        return source.phase == node.phase and _carries_spikes(network, source)
    return node.is_binary and node.op != "signed_bernoulli"


def _unit(network: SpikingNetwork, node: SpikingNode) -> SpikingNode | str:
    """Return the neurons that a map drives, directly or through sums; or why there are none."""
    users = network.users(node.name)
    while len(users) == 1 and users[0].op == "sum":
        users = network.users(users[0].name)
    if len(users) != 1 or users[0].op not in ("fire", "bernoulli"):
        ends = ", ".join(repr(user.name) for user in users) or "a result of the network"
        return f"feeds {ends}, not one layer of neurons that spike"
    return users[0]
