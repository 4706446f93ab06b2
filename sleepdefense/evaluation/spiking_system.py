"""Spiking networks under attack: logits of a converted network, and gradients through surrogate spikes.

A spike has no gradient. Attacks on a spiking network follow that of a smooth curve in its place, and how
steep the curve is decides what they find: so several slopes are tried, and the awake twin as well, and the
spiking network itself is the judge.
"""

import hashlib
from collections.abc import Sequence

import torch
from torch import nn
from typing_extensions import override

from sleepdefense.attacks.any_of import AnyOf
from sleepdefense.attacks.eot import EOT
from sleepdefense.attacks.noise import derive_seed
from sleepdefense.conversion.to_awake import to_awake
from sleepdefense.errors import ConfigError
from sleepdefense.evaluation.surfaces import stand_ins
from sleepdefense.models.base import ReadsOutputs
from sleepdefense.models.purified import Purified
from sleepdefense.shapes import Images, Logits
from sleepdefense.spiking import SpikingNetwork, simulate
from sleepdefense.spiking.backend import AbstractBackend, TorchBackend
from sleepdefense.spiking.simulate import ENCODERS

SLOPES = (0.5, 2.0, 8.0)
"""Slopes of the arctan that a sweep tries."""

USUAL_SLOPE = 2.0
STRAIGHT_THROUGH = "straight-through"
"""The stand-in of a classifier on binarised images that all slopes are tried with."""

DRAWS = 20
"""Spike trains that an attack averages over."""


class SpikingSystem(nn.Module):
    """A converted network that classifies, or that purifies for a classifier, as something to evaluate.

    The spiking network itself decides, without surrogates. Attacked are, in the "white-box" threat model, its
    surrogate of the usual slope, and in the "adaptive" one everything of `surrogate_sweep`. With Bernoulli
    trains every attack averages over `DRAWS` trains, none of which is the one that decides.

    Args:
        network: What `to_spiking` returned, or the network of a sleep.
        classifier: What classifies the images of a spiking purifier; None for a spiking classifier.
        num_steps: Steps in each phase, >= 1.
        encoder: "current" or "bernoulli"; see `simulate`.
        slope: Of the surrogate gradient; None for none.
        seed: Of the random spikes, >= 0. All images see the same random numbers, so that what a network says
            of an image does not depend on the batch.

    Raises:
        ConfigError: A setting is out of range, or the network's results are not what is needed.
    """

    def __init__(
        self,
        network: SpikingNetwork,
        classifier: nn.Module | None = None,
        *,
        num_steps: int = 64,
        encoder: str = "current",
        slope: float | None = None,
        seed: int = 0,
    ) -> None:
        if num_steps < 1 or seed < 0 or (slope is not None and not 0 < slope < float("inf")):
            raise ConfigError(
                f"expected num_steps >= 1, seed >= 0 and slope > 0, got {num_steps}, {seed} and {slope}"
            )
        if encoder not in ENCODERS:
            raise ConfigError(f"unknown encoder '{encoder}': expected one of {', '.join(ENCODERS)}")
        results = tuple(network.outputs)
        if classifier is None and len(results) != 1 and not isinstance(network.awake, ReadsOutputs):
            raise ConfigError(
                f"the spiking network gives {', '.join(results)}: a purifier needs a 'classifier' behind it"
            )
        if classifier is not None and len(results) != 1 and "image" not in results:
            raise ConfigError(
                f"the spiking network gives {', '.join(results)}: expected an 'image' to classify"
            )
        super().__init__()
        self.network = network
        self.classifier = classifier
        self.awake = network.awake  # its biases act too; registered so that two networks can be told apart
        for number, weight in enumerate(network.weights.values()):
            self.register_buffer(f"weight_{number}", weight)
        self.num_steps = num_steps
        self.encoder = encoder
        self.slope = slope
        self.seed = seed
        self._result = "image" if "image" in results else results[0]

    def one_draw(self, images: Images, *, seed: int) -> Logits:
        """Return the logits of one run, (batch, class), with random spikes from a seed."""
        record = simulate(
            self.network,
            images,
            num_steps=self.num_steps,
            backend=self._backend(),
            encoder=self.encoder,
            seed=seed,
            index=torch.zeros(len(images), dtype=torch.int64),
        )
        if self.classifier is None and isinstance(self.awake, ReadsOutputs):
            outputs = {name: value.float() for name, value in record.outputs.items()}
            return self.awake.logits_from(images, outputs)
        result = record.outputs[self._result].float()
        return result if self.classifier is None else self.classifier(result)

    @override
    def forward(self, images: Images) -> Logits:
        """Return the logits, (batch, class)."""
        return self.one_draw(images, seed=self.seed)

    def with_slope(self, slope: float, classifier: nn.Module | None = None) -> "SpikingSystem":
        """Return the same system with a surrogate gradient, to be differentiated.

        Args:
            slope: Of the arctan, > 0.
            classifier: What stands in for the classifier; None for the classifier itself.
        """
        return SpikingSystem(
            self.network,
            self.classifier if classifier is None else classifier,
            num_steps=self.num_steps,
            encoder=self.encoder,
            slope=slope,
            seed=self.seed,
        )

    def surrogate_sweep(self, slopes: Sequence[float] = SLOPES) -> AnyOf:
        """Return a surface that stands for surrogates of several slopes and for the awake twin.

        Args:
            slopes: Of the arctan, each > 0.

        Returns:
            "slope-0.5" and so on, and "awake": the network converted back, with what it learned asleep. With
            a classifier that binarises, all of them straight through its threshold, and the usual slope and
            the awake network through its other stand-ins too.
        """
        awake = to_awake(self.network)
        behind = {"": None} if self.classifier is None else stand_ins(self.classifier)
        members: dict[str, nn.Module] = {}
        for name, classifier in behind.items():
            for slope in slopes if name in ("", STRAIGHT_THROUGH) else (USUAL_SLOPE,):
                system = self._averaged(self.with_slope(slope, classifier))
                members[f"slope-{slope:g} {name}".strip()] = system
            members[f"awake {name}".strip()] = awake if classifier is None else Purified(awake, classifier)
        return AnyOf(members, judge=self)

    def attack_surfaces(self) -> dict[str, nn.Module]:
        """Return, for each threat model, the network an attacker differentiates through."""
        return {
            "white-box": self._averaged(self.with_slope(USUAL_SLOPE)),
            "adaptive": self.surrogate_sweep(),
        }

    @override
    def extra_repr(self) -> str:
        """Return the settings, and a digest of the scales."""
        scales = hashlib.sha256(repr([(node.name, node.scale) for node in self.network.nodes]).encode())
        return (
            f"num_steps={self.num_steps}, encoder={self.encoder}, slope={self.slope}, seed={self.seed}, "
            f"scales={scales.hexdigest()[:16]}"
        )

    def _averaged(self, system: "SpikingSystem") -> nn.Module:
        """Return a system as an attack should see it: by many spike trains, if they are random."""
        if self._is_random():
            return EOT(system, draws=DRAWS, seed=derive_seed(self.seed, "attack"))
        return system

    def _is_random(self) -> bool:
        stochastic = any(node.op in ("bernoulli", "signed_bernoulli") for node in self.network.nodes)
        return stochastic or self.encoder == "bernoulli"

    def _backend(self) -> AbstractBackend:
        if self.slope is None:
            return TorchBackend()
        from sleepdefense.spiking.snntorch_backend import SnntorchBackend  # slow to import, often not needed

        return SnntorchBackend(self.slope)
