"""The spiking network as a value: nodes, scales and thresholds, nothing that changes."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace

from torch import Tensor, nn

from sleepdefense.errors import ConversionError
from sleepdefense.spiking.synapses import Synapses

FIRING = ("fire", "bernoulli", "signed_bernoulli")
"""Operations whose output is spikes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpikingNode:
    """One operation of a spiking network.

    Attributes:
        name: The name of the awake node it stands for.
        op: "input"; "synapses", a linear map; "fire", integrate-and-fire neurons (ReLU); "bernoulli",
            stochastic binary neurons (sigmoid); "signed_bernoulli", the same with signed spikes (tanh);
            "max_pool"; "wiring" (reshape, average, upsample, pad); "sum"; "sigmoid" and "tanh", which squash
            the mean membrane of neurons that do not fire.
        inputs: Names of the nodes that feed it.
        gains: What each input is multiplied by, to bring it to the scale of this node.
        shape: Shape of its output without the batch axis.
        scale: Awake value = scale * mean signal.
        phase: Nodes of a later phase see those of an earlier one as their mean over the whole run: behind a
            latent layer, whose signed values no spike can carry, everything starts anew.
        is_binary: Its signal is 0 or 1 in every step.
        synapses: The linear map, for "synapses".
        threshold: theta, for "fire".
        apply: What it computes, for "wiring" and "max_pool".
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    gains: tuple[float, ...]
    shape: tuple[int, ...]
    scale: float
    phase: int
    is_binary: bool = False
    synapses: Synapses | None = None
    threshold: float = 1.0
    apply: Callable[[Tensor], Tensor] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpikingNetwork:
    """A converted network.

    Attributes:
        nodes: Inputs before users.
        outputs: Name of a result -> name of the node that carries it.
        origin: Master weight of every linear map as it was converted; sleep is measured against it, and the
            way back adds only the difference to the awake weights.
        awake: The network it was made from, in evaluation mode. Never changed.
        settings: How it was converted: percentile, number of calibration images.
    """

    nodes: tuple[SpikingNode, ...]
    outputs: Mapping[str, str]
    origin: Mapping[str, Tensor]
    awake: nn.Module
    settings: Mapping[str, float | int | str] = field(default_factory=dict)

    def node(self, name: str) -> SpikingNode:
        """Return the node called `name`.

        Raises:
            ConversionError: There is none; the message lists those there are.
        """
        for node in self.nodes:
            if node.name == name:
                return node
        raise ConversionError(
            f"no node {name!r} in this network; it has {[node.name for node in self.nodes]}"
        )

    def users(self, name: str) -> tuple[SpikingNode, ...]:
        """Return the nodes that `name` feeds."""
        return tuple(node for node in self.nodes if name in node.inputs)

    @property
    def weights(self) -> dict[str, Tensor]:
        """Master weight of every linear map, by node name."""
        return {node.name: node.synapses.weight for node in self.nodes if node.synapses is not None}

    @property
    def firing(self) -> tuple[SpikingNode, ...]:
        """The nodes whose neurons fire, first to last."""
        return tuple(node for node in self.nodes if node.op in FIRING)

    def with_weights(self, weights: Mapping[str, Tensor]) -> "SpikingNetwork":
        """Return a network with other master weights.

        Args:
            weights: Node name -> weight, of the same shape as the one it replaces. Others stay.

        Raises:
            ConversionError: A name is unknown or a shape differs.
        """
        for name, weight in weights.items():
            synapses = self.node(name).synapses
            if synapses is None or synapses.weight.shape != weight.shape:
                expected = (
                    "no weights" if synapses is None else f"weights of shape {tuple(synapses.weight.shape)}"
                )
                raise ConversionError(f"node {name!r} has {expected}, got {tuple(weight.shape)}")
        nodes = tuple(
            replace(node, synapses=node.synapses.with_weight(weights[node.name].float()))
            if node.synapses is not None and node.name in weights
            else node
            for node in self.nodes
        )
        return replace(self, nodes=nodes)

    def as_origin(self) -> "SpikingNetwork":
        """Return the same network with its present weights as those it was converted with."""
        return replace(self, origin=self.weights)

    def ancestors(self, names: set[str], known: Collection[str] = ()) -> set[str]:
        """Return `names` and every node they depend on, without the `known` ones and what only those need."""
        wanted = set(names) - set(known)
        for node in reversed(self.nodes):
            if node.name in wanted:
                wanted.update(name for name in node.inputs if name not in known)
        return wanted
