"""Run a spiking network: phase after phase, step after step, layer after layer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from sleepdefense.errors import ConversionError
from sleepdefense.kernels import bernoulli_train
from sleepdefense.shapes import Images
from sleepdefense.spiking.backend import AbstractBackend, TorchBackend
from sleepdefense.spiking.network import FIRING, SpikingNetwork, SpikingNode
from sleepdefense.spiking.squash import squash

ENCODERS = ("current", "bernoulli")


class Moment(NamedTuple):
    """What an observer sees after every step of a phase.

    Attributes:
        phase: Which phase.
        step: Which step of it, from 0.
        signals: Node name -> signal of this step, (batch, *unit).
        potentials: Node name -> membrane before the reset, for nodes that integrate and fire; the mean drive
            so far, for nodes that draw whether to spike.
    """

    phase: int
    step: int
    signals: Mapping[str, Tensor]
    potentials: Mapping[str, Tensor]


Observer = Callable[[Moment], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpikeRecord:
    """What a run leaves.

    Attributes:
        outputs: Result name -> value in units of the awake network, (batch, *unit).
        rates: Firing node -> mean number of spikes a step, (batch, *unit).
        means: Every computed node -> mean signal, (batch, *unit).
        num_steps: Length of the run, in steps a phase.
    """

    outputs: Mapping[str, Tensor]
    rates: Mapping[str, Tensor]
    means: Mapping[str, Tensor]
    num_steps: int


def simulate(
    network: SpikingNetwork,
    images: Images | Tensor,
    *,
    num_steps: int,
    backend: AbstractBackend | None = None,
    encoder: str = "current",
    seed: int = 0,
    index: Tensor | None = None,
    observe: Observer | None = None,
    until: set[str] | None = None,
    thresholds: Mapping[str, float] | None = None,
) -> SpikeRecord:
    """Run `network` on a batch.

    Args:
        network: What `to_spiking` returned.
        images: (batch, *unit), in [0, 1].
        num_steps: Steps in each phase, >= 1.
        backend: The simulator of the neurons; plain torch by default. Those of snntorch and norse carry
            surrogate gradients.
        encoder: "current" feeds the pixel values as constant currents, "bernoulli" as spike trains with the
            pixel as probability of a spike in each step.
        seed: Of the random spikes.
        index: Number of each image in its data set, (batch,): the random spikes of an image are a function
            of `seed` and this number, whatever batch it comes in. By default 0, 1, 2 ...
        observe: Called after every step with what just happened.
        until: Compute only these nodes and what they depend on; default everything.
        thresholds: Node name -> theta for this run, in place of the network's own.

    Returns:
        Outputs and firing rates.

    Raises:
        ConversionError: `num_steps` < 1, an unknown encoder, or images of another shape than converted.
    """
    if num_steps < 1:
        raise ConversionError(f"'num_steps' must be >= 1, got {num_steps}")
    if encoder not in ENCODERS:
        raise ConversionError(f"unknown encoder {encoder!r}, expected one of {ENCODERS}")
    entry = network.nodes[0]
    if tuple(images.shape[1:]) != entry.shape:
        raise ConversionError(
            f"the network was converted for images of shape {entry.shape}, got {tuple(images.shape[1:])}"
        )
    run = _Run(
        network=network,
        images=images,
        given={},
        num_steps=num_steps,
        backend=backend or TorchBackend(),
        encoder=encoder,
        seed=seed,
        index=torch.arange(len(images)) if index is None else index,
        observe=observe,
        wanted=network.ancestors(set(network.outputs.values()) if until is None else until),
        thresholds=thresholds or {},
    )
    return run.execute(with_outputs=until is None)


def simulate_from(
    network: SpikingNetwork,
    given: Mapping[str, Tensor],
    *,
    num_steps: int,
    backend: AbstractBackend | None = None,
    seed: int = 0,
    index: Tensor | None = None,
    until: set[str] | None = None,
) -> SpikeRecord:
    """Run only what follows from the mean signals of some nodes: a decoder from its latent.

    What follows must lie in later phases than the given nodes, for a later phase sees the means of earlier
    ones and nothing else. So a run that is cut there and goes on gives the same bits as one that is not.

    Args:
        network: What `to_spiking` returned.
        given: Node name -> mean signal, (batch, *unit); awake value = scale * mean signal.
        num_steps: Steps in each phase, >= 1.
        backend: The simulator of the neurons, as in `simulate`.
        seed: Of the random spikes.
        index: Number of each image in its data set, as in `simulate`.
        until: Compute only these nodes; default the results that follow from the given ones alone.

    Returns:
        Outputs and firing rates.

    Raises:
        ConversionError: `num_steps` < 1, nothing is given, an unknown node, a signal of another shape; or
            what is wanted needs the image as well, or spikes of a given node.
    """
    if num_steps < 1:
        raise ConversionError(f"'num_steps' must be >= 1, got {num_steps}")
    if not given:
        raise ConversionError("'given' names no node, expected the mean signal of one or more")
    for name, signal in given.items():
        if tuple(signal.shape[1:]) != network.node(name).shape:
            raise ConversionError(
                f"node {name!r} has units of shape {network.node(name).shape}, got {tuple(signal.shape[1:])}"
            )
    names = {name for name in network.outputs.values() if _follows(network, {name}, given)}
    if until is not None:
        names = set(until) if _follows(network, set(until), given) else set()
    if not names:
        raise ConversionError(
            f"{', '.join(map(repr, given))} alone do not decide what is wanted: expected nodes that are read "
            "from the membrane, such as a latent, and results behind them"
        )
    first = next(iter(given.values()))
    run = _Run(
        network=network,
        images=first,
        given=given,
        num_steps=num_steps,
        backend=backend or TorchBackend(),
        encoder="current",
        seed=seed,
        index=torch.arange(len(first)) if index is None else index,
        observe=None,
        wanted=network.ancestors(names, given),
        thresholds={},
    )
    return run.execute(with_outputs=until is None)


def _follows(network: SpikingNetwork, names: set[str], given: Mapping[str, Tensor]) -> bool:
    """Do the means of the given nodes decide these other ones, without the image?"""
    wanted = network.ancestors(names, given)
    if not wanted or network.nodes[0].name in wanted:
        return False
    nodes = [network.node(name) for name in wanted]
    return all(
        network.node(source).phase < node.phase for node in nodes for source in node.inputs if source in given
    )


@dataclass(slots=True)
class _Run:
    """One run and its running sums."""

    network: SpikingNetwork
    images: Tensor
    given: Mapping[str, Tensor]
    num_steps: int
    backend: AbstractBackend
    encoder: str
    seed: int
    index: Tensor
    observe: Observer | None
    wanted: set[str]
    thresholds: Mapping[str, float]

    def execute(self, *, with_outputs: bool) -> SpikeRecord:
        nodes = [node for node in self.network.nodes if node.name in self.wanted]
        means: dict[str, Tensor] = {name: signal.double() for name, signal in self.given.items()}
        for phase in sorted({node.phase for node in nodes}):
            means |= self._phase([node for node in nodes if node.phase == phase], phase, means)
        outputs = {
            key: means[name] * self.network.node(name).scale
            for key, name in self.network.outputs.items()
            if with_outputs and name in self.wanted
        }
        rates = {node.name: means[node.name] for node in nodes if node.op in FIRING}
        return SpikeRecord(outputs=outputs, rates=rates, means=means, num_steps=self.num_steps)

    def _phase(self, nodes: list[SpikingNode], phase: int, means: dict[str, Tensor]) -> dict[str, Tensor]:
        weights = {
            node.name: node.synapses.on_grid(self._dtype(node), self.images.device)
            for node in nodes
            if node.synapses is not None
        }
        fixed: dict[str, Tensor] = dict(means)  # signals that do not change during this phase
        moving: list[SpikingNode] = []
        for node in nodes:
            if self._is_fixed(node, fixed):
                fixed[node.name] = self._signal(
                    node, [fixed[name] for name in node.inputs], weights, None, 0
                )[0]
            elif node.op not in ("sigmoid", "tanh"):
                moving.append(node)
        sums: dict[str, Tensor] = {}
        states: dict[str, object] = {}
        for step in range(self.num_steps):
            signals = dict(fixed)
            potentials: dict[str, Tensor] = {}
            for node in moving:
                inputs = [signals[name] for name in node.inputs]
                signal, state, potential = self._signal(node, inputs, weights, states.get(node.name), step)
                signals[node.name], states[node.name] = signal, state
                if potential is not None:
                    potentials[node.name] = potential
                total = signal.double()
                sums[node.name] = sums[node.name] + total if node.name in sums else total
            if self.observe is not None:
                self.observe(Moment(phase, step, signals, potentials))
        found = {name: value for name, value in fixed.items() if name not in means}
        found |= {name: total / self.num_steps for name, total in sums.items()}
        for node in nodes:
            if node.op in ("sigmoid", "tanh"):
                drive = found[node.inputs[0]] * node.gains[0]
                found[node.name] = squash(drive, node.op)
        return found

    def _is_fixed(self, node: SpikingNode, fixed: Mapping[str, Tensor]) -> bool:
        if node.op == "input":
            return self.encoder == "current"
        return node.op in ("synapses", "wiring", "sum", "max_pool") and all(
            name in fixed for name in node.inputs
        )

    def _dtype(self, node: SpikingNode) -> torch.dtype:
        """Spikes meet weights in float32, everything graded in float64."""
        source = self.network.node(node.inputs[0])
        if source.phase < node.phase or not source.is_binary:
            return torch.float64
        return torch.float64 if self._depends_on_pixels(source) else torch.float32

    def _depends_on_pixels(self, node: SpikingNode) -> bool:
        """Is the signal the image itself (perhaps reshaped), fed as a current?"""
        while node.op in ("wiring", "max_pool"):
            node = self.network.node(node.inputs[0])
        return node.op == "input" and self.encoder == "current"

    def _signal(
        self,
        node: SpikingNode,
        inputs: list[Tensor],
        weights: Mapping[str, tuple[Tensor, Tensor | None]],
        state: object,
        step: int,
    ) -> tuple[Tensor, object, Tensor | None]:
        """Return the signal of one node in one step, its next state and, if it fires, its potential."""
        if node.op == "input":
            return self._input(step), None, None
        inputs = [
            value if gain == 1.0 else value.double() * gain
            for value, gain in zip(inputs, node.gains, strict=True)
        ]
        value = inputs[0]
        if node.op == "synapses":
            assert node.synapses is not None
            weight, bias = weights[node.name]
            return node.synapses.current(value.to(weight.dtype), weight, bias), None, None
        if node.op == "sum":
            return sum(inputs[1:], inputs[0]), None, None
        if node.op == "wiring":
            assert node.apply is not None
            return node.apply(value), None, None
        if node.op == "max_pool":
            return self._max_pool(node, value, state)
        if node.op == "fire":
            threshold = self.thresholds.get(node.name, node.threshold)
            assert state is None or isinstance(state, Tensor)
            spikes, potential, state = self.backend.step(value, state, threshold)
            return spikes, state, potential
        return self._stochastic(node, value, state, step)

    def _input(self, step: int) -> Tensor:
        if self.encoder == "current":
            return self.images.double()
        spikes = self._draw(self.images, self.seed, step)
        if not self.images.requires_grad:
            return spikes
        return spikes + (self.images - self.images.detach()).float()  # adds 0: the gradient of the mean

    def _draw(self, probability: Tensor, seed: int, step: int) -> Tensor:
        train = bernoulli_train(
            np.ascontiguousarray(probability.detach().cpu().float().numpy()),
            self.index.cpu().numpy().astype(np.int64),
            seed=seed,
            first_step=step,
            num_steps=1,
        )
        return torch.from_numpy(train[0]).to(device=self.images.device, dtype=torch.float32)

    def _max_pool(self, node: SpikingNode, value: Tensor, state: object) -> tuple[Tensor, object, None]:
        """Emit what the largest accumulated input grows by: the count of a pool is its largest count."""
        assert node.apply is not None
        total, before = (
            state if isinstance(state, tuple) else (torch.zeros_like(value, dtype=torch.float64), None)
        )
        total = total + value
        largest = node.apply(total)
        emitted = largest if before is None else largest - before
        return (emitted.float() if node.is_binary else emitted), (total, largest), None

    def _stochastic(
        self, node: SpikingNode, value: Tensor, state: object, step: int
    ) -> tuple[Tensor, object, Tensor]:
        """Spike with the probability that the mean drive so far asks for, which stands for the potential."""
        total = state + value if isinstance(state, Tensor) else value.double()
        mean = total / (step + 1)
        place = next(i for i, other in enumerate(self.network.nodes) if other.name == node.name)
        if node.op == "bernoulli":
            probability, sign = squash(mean, "sigmoid"), torch.ones_like(mean)
        else:
            probability, sign = squash(mean, "tanh").abs(), torch.sign(mean)
        spikes = self._draw(probability, self.seed + 7919 * place, step).double() * sign
        expected = probability * sign
        return (spikes + expected - expected.detach()).float(), total, mean
