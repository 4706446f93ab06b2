"""Learning rules: what the counted pairings of a batch do to the weights."""

import abc
import math
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from sleepdefense.consolidation.weight_dependence import DEPENDENCES, FloatArray
from sleepdefense.errors import ConfigError


class AbstractRule(abc.ABC):
    """A learning rule. It sees integer counts and weights, never spikes, and keeps no state.

    A layer moves by

        W <- confine(W + strength / images * direction(W))

    where the strength is the business of the dose, not of the rule.
    """

    name: ClassVar[str]

    @abc.abstractmethod
    def direction(
        self,
        weight: FloatArray,
        origin: FloatArray,
        potentiation: NDArray[np.integer[Any]],
        depression: NDArray[np.integer[Any]],
    ) -> FloatArray:
        """Return the change of each weight at strength 1.

        Args:
            weight: Normalised weight now, any shape.
            origin: The same before the sleep.
            potentiation: How often each synapse was potentiated, like the weight.
            depression: How often it was depressed.
        """

    @abc.abstractmethod
    def confine(self, weight: FloatArray, origin: FloatArray) -> FloatArray:
        """Return `weight` with what left the rule's bounds brought back."""

    @abc.abstractmethod
    def twin_gain(self) -> float:
        """Return the factor kappa on the same change in the mirror twin; 0: the decoder does not learn."""

    @abc.abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Return name and settings, fit for JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AbstractPairingRule(AbstractRule):
    """What the two rules below share.

        delta = a_plus * potentiation + a_minus * depression,    dw = delta * f(w)

    Attributes:
        a_plus: Scale of potentiation, dimensionless, >= 0.
        a_minus: Scale of depression, dimensionless, <= 0.
        weight_dependence: The reading of f(w) = w (1 - w); see `weight_dependence.py`.

    Raises:
        ConfigError: A value is out of range.
    """

    a_plus: float = 0.004
    a_minus: float = -0.003
    weight_dependence: str = "sign-magnitude"

    def __post_init__(self) -> None:
        _check(self.name, "a_plus", self.a_plus, math.isfinite(self.a_plus) and self.a_plus >= 0, ">= 0")
        _check(self.name, "a_minus", self.a_minus, math.isfinite(self.a_minus) and self.a_minus <= 0, "<= 0")
        _check(self.name, "a_plus", self.a_plus, self.a_plus > 0 or self.a_minus < 0, "> 0 if 'a_minus' is 0")
        known = self.weight_dependence in DEPENDENCES
        _check(
            self.name, "weight_dependence", self.weight_dependence, known, f"one of {', '.join(DEPENDENCES)}"
        )

    @override
    def direction(
        self,
        weight: FloatArray,
        origin: FloatArray,
        potentiation: NDArray[np.integer[Any]],
        depression: NDArray[np.integer[Any]],
    ) -> FloatArray:
        delta = self.a_plus * potentiation + self.a_minus * depression
        return delta * DEPENDENCES[self.weight_dependence].factor(weight, origin)

    @override
    def confine(self, weight: FloatArray, origin: FloatArray) -> FloatArray:
        return DEPENDENCES[self.weight_dependence].confine(weight, origin)

    @override
    def to_json(self) -> dict[str, Any]:
        return {"rule": self.name, **asdict(self)}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class STDP(AbstractPairingRule):
    """Spike-timing dependent plasticity of the encoder alone: see `AbstractPairingRule`.

    Source:
        Talafha et al. 2023, Eqs. 6-7 and Table 3, with phi_r = alpha = 1 and phi_p = beta = 0.

    >>> rule = STDP()
    >>> counts = np.array([10, 0]), np.array([0, 10])
    >>> rule.direction(np.array([0.5, -0.5]), np.array([1.0, -0.5]), *counts)
    array([0.01  , 0.0075])
    """

    name: ClassVar[str] = "stdp"

    @override
    def twin_gain(self) -> float:
        return 0.0


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class MirroredSTDP(AbstractPairingRule):
    """STDP of the encoder, with the same events mirrored, element for element, into the decoder.

        dw_encoder = delta * f(w_encoder),    dw_decoder = kappa * delta * f(w_decoder)

    The events, and so delta, are shared; the weights are not tied: each layer has its own f(w).

    Attributes:
        kappa: The scaling factor between feedforward and feedback plasticity, dimensionless, > 0.

    Raises:
        ConfigError: A value is out of range.

    Source:
        Talafha et al. 2023, section 3.4, Eqs. 6-7 and Table 3; Burbank 2015. docs/decisions.md, "Sleep".
    """

    name: ClassVar[str] = "mirrored-stdp"

    kappa: float = 1.0

    def __post_init__(self) -> None:
        super(MirroredSTDP, self).__post_init__()  # slots: the class without arguments is not this one
        good = math.isfinite(self.kappa) and self.kappa > 0
        _check(self.name, "kappa", self.kappa, good, "> 0; without mirror take the rule 'stdp'")

    @override
    def twin_gain(self) -> float:
        return self.kappa


def _check(rule: str, name: str, value: object, is_good: bool, expected: str) -> None:
    if not is_good:
        raise ConfigError(f"'{name}' of rule '{rule}' must be {expected}, got {value!r}")


RULES: dict[str, type[AbstractPairingRule]] = {STDP.name: STDP, MirroredSTDP.name: MirroredSTDP}
"""Every rule that can be named in a configuration."""
