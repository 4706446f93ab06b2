"""The attacks as data: what each one is called, how far it may go, and what can be set.

Nothing here computes; `build.py` knows how. Importing this file costs nothing, so a command line can list it.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from sleepdefense.errors import ConfigError

Norm = Literal["Linf", "L2", "none"]
NORMS: tuple[Norm, ...] = ("Linf", "L2", "none")
SettingValue = bool | int | float


class SettingRule(NamedTuple):
    """What a setting means and which values it takes, whatever the attack."""

    kind: type[bool] | type[int] | type[float]
    lowest: float
    highest: float
    meaning: str


SETTING_RULES: dict[str, SettingRule] = {
    "epsilon": SettingRule(float, 0.0, math.inf, "largest perturbation, in the attack's norm"),
    "steps": SettingRule(int, 1, 1_000_000, "gradient steps"),
    "relative_step": SettingRule(float, 0.0, 1000.0, "length of a step, as a fraction of epsilon"),
    "random_start": SettingRule(bool, 0, 1, "start at a random point of the epsilon ball"),
    "alpha": SettingRule(float, 0.0, 1.0, "length of the random step, part of epsilon"),
    "binary_search_steps": SettingRule(int, 1, 100, "searches for the weight of the misclassification term"),
    "initial_const": SettingRule(float, 0.0, 1e10, "first weight of the misclassification term"),
    "confidence": SettingRule(float, 0.0, 1e6, "how far the wrong logit must lead, in logits"),
    "learning_rate": SettingRule(float, 0.0, 1000.0, "step of Adam in tanh space"),
    "sigma": SettingRule(float, 0.0, 1000.0, "standard deviation: of an intensity, or of a blur in pixels"),
    "share": SettingRule(float, 0.0, 1.0, "share of pixels replaced, in (0, 1]"),
}
"""Every number must exceed its lowest value, or equal it where that is an integer's or `confidence`'s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackSpec:
    """One attack at one strength.

    Attributes:
        name: As the papers write it, "FGSM".
        norm: What `epsilon` and distances are measured in; "none" for corruptions that have no budget.
        epsilon: Largest distance, in `norm`. None: the attack looks for the nearest wrong image, however far.
        settings: Everything else that can be set.
        strength: Which setting the short form "FGSM:0.3" sets.
        needs_gradient: Whether the model must be differentiable.
        is_iterative: Whether it takes more than one step.
        minimises: Whether it looks for the nearest wrong image, rather than for one in the ball.
        source: Paper, and where its settings come from.
        description: One line for a list.
    """

    name: str
    norm: Norm
    epsilon: float | None = None
    settings: Mapping[str, SettingValue] = field(default_factory=dict, hash=False)
    strength: str = "epsilon"
    needs_gradient: bool = True
    is_iterative: bool = False
    minimises: bool = False
    source: str = ""
    description: str = ""

    def __post_init__(self) -> None:
        if self.norm not in NORMS:
            raise ConfigError(
                f"attack '{self.name}': norm must be one of {', '.join(NORMS)}, got '{self.norm}'"
            )
        checked = {name: _check_setting(self.name, name, value) for name, value in self.settings.items()}
        object.__setattr__(self, "settings", checked)
        if self.epsilon is not None:
            object.__setattr__(self, "epsilon", _check_setting(self.name, "epsilon", self.epsilon))
            if self.norm == "none":
                raise ConfigError(f"attack '{self.name}' has no norm and takes no 'epsilon'")
        elif self.norm != "none" and not self.minimises:
            raise ConfigError(f"attack '{self.name}' needs an 'epsilon'")
        alpha = self.settings.get("alpha")
        if alpha is not None and self.epsilon is not None and alpha >= self.epsilon:
            raise ConfigError(
                f"attack '{self.name}': the random step 'alpha' ({alpha:g}) must be shorter than "
                f"'epsilon' ({self.epsilon:g}), which it is a part of"
            )

    def with_settings(self, **changes: SettingValue) -> "AttackSpec":
        """Return the attack with other settings; `epsilon` is one of them.

        Raises:
            ConfigError: A setting is unknown to this attack, or its value is out of range.
        """
        known = self.adjustable
        for setting in changes:
            if setting not in known:
                raise ConfigError(
                    f"attack '{self.name}' has no setting '{setting}'; it has {', '.join(known) or 'none'}"
                )
        epsilon = changes.pop("epsilon", self.epsilon)
        return replace(self, epsilon=epsilon, settings={**self.settings, **changes})

    @property
    def adjustable(self) -> tuple[str, ...]:
        """Names of everything that `with_settings` takes."""
        return (*(("epsilon",) if self.norm != "none" else ()), *self.settings)

    @property
    def label(self) -> str:
        """How a table calls it: "FGSM 0.3", "PGD 0.3 (steps=100)"."""
        strength, others = self._differences()
        extra = (
            f" ({', '.join(f'{name}={_text(value)}' for name, value in others.items())})" if others else ""
        )
        return self.name + (f" {_text(strength)}" if strength is not None else "") + extra

    @property
    def key(self) -> str:
        """A name for files and arrays, of letters, digits, dots, dashes and underscores; unique."""
        strength, others = self._differences()
        parts = [self.norm, re.sub(r"[^A-Za-z0-9]+", "-", self.name)]
        parts += [_text(strength)] if strength is not None else []
        parts += [f"{name}_{_text(value)}" for name, value in others.items()]
        return "-".join(parts)

    def __str__(self) -> str:
        """The text that `parse_attack` turns back into this attack."""
        strength, others = self._differences()
        if not others:
            return self.name + (f":{_text(strength)}" if strength is not None else "")
        shown = {**({self.strength: strength} if strength is not None else {}), **others}
        return f"{self.name}({','.join(f'{name}={_text(value)}' for name, value in shown.items())})"

    def _differences(self) -> tuple[SettingValue | None, dict[str, SettingValue]]:
        """Return the strength, and the other settings where they are not the catalogue's."""
        usual = ATTACKS[self.name].settings if self.name in ATTACKS else {}
        strength = self.epsilon if self.strength == "epsilon" else self.settings[self.strength]
        others = {
            name: value
            for name, value in self.settings.items()
            if name != self.strength and usual.get(name) != value
        }
        return strength, others


def _check_setting(attack: str, setting: str, value: SettingValue) -> SettingValue:
    """Return the value in the type of its rule, or raise ConfigError."""
    if setting not in SETTING_RULES:
        raise ConfigError(
            f"attack '{attack}': unknown setting '{setting}'; known: {', '.join(SETTING_RULES)}"
        )
    rule = SETTING_RULES[setting]
    where = f"attack '{attack}': '{setting}' ({rule.meaning})"
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if rule.kind is bool:
        if not isinstance(value, bool):
            raise ConfigError(f"{where} must be true or false, got {value!r}")
        return value
    if not is_number or not math.isfinite(value):
        raise ConfigError(f"{where} must be a finite number, got {value!r}")
    if rule.kind is int and not float(value).is_integer():
        raise ConfigError(f"{where} must be a whole number, got {value!r}")
    may_equal = rule.kind is int or setting == "confidence"
    if value < rule.lowest or (value == rule.lowest and not may_equal) or value > rule.highest:
        relation = "at least" if may_equal else "above"
        limit = f" and at most {rule.highest:g}" if math.isfinite(rule.highest) else ""
        raise ConfigError(f"{where} must be {relation} {rule.lowest:g}{limit}, got {value!r}")
    return rule.kind(value)


def _text(value: SettingValue) -> str:
    """Write a setting so that it reads back as the same value: 0.3, 40, true."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(value)


_CW_PAPER = {
    "learning_rate": 10.0,
    "steps": 100,
    "binary_search_steps": 1,
    "initial_const": 100.0,
    "confidence": 0.0,
}

ATTACKS: dict[str, AttackSpec] = {
    spec.name: spec
    for spec in (
        AttackSpec(
            name="FGSM",
            norm="Linf",
            epsilon=0.3,
            source="Goodfellow et al. 2015",
            description="one step along the sign of the gradient",
        ),
        AttackSpec(
            name="RAND+FGSM",
            norm="Linf",
            epsilon=0.3,
            settings={"alpha": 0.05},
            source="Tramer et al. 2018; epsilon and alpha of Samangouei et al. 2018",
            description="a random step of length alpha, then FGSM with what is left of epsilon",
        ),
        AttackSpec(
            name="PGD",
            norm="Linf",
            epsilon=0.3,
            settings={"steps": 40, "relative_step": 1 / 30, "random_start": True},
            is_iterative=True,
            source="Madry et al. 2018",
            description="many small FGSM steps from a random start, kept inside the ball",
        ),
        AttackSpec(
            name="CW",
            norm="L2",
            settings=_CW_PAPER,
            is_iterative=True,
            minimises=True,
            source="Carlini and Wagner 2017; settings of Samangouei et al. 2018 and Talafha et al. 2023",
            description="the papers' Carlini-Wagner: one search, huge steps, unbounded distance",
        ),
        AttackSpec(
            name="CW-strong",
            norm="L2",
            settings={
                # 100 steps of 0.1 come as close as 200 of 0.05 or nine searches do, within one percent
                "learning_rate": 0.1,
                "steps": 100,
                "binary_search_steps": 5,
                "initial_const": 1.0,
                "confidence": 0.0,
            },
            is_iterative=True,
            minimises=True,
            source="Carlini and Wagner 2017; settings: docs/decisions.md",
            description="Carlini-Wagner that finds close images: five searches of 100 small steps",
        ),
        AttackSpec(
            name="GaussianNoise",
            norm="none",
            settings={"sigma": 0.3},
            strength="sigma",
            needs_gradient=False,
            source="Hendrycks and Dietterich 2019",
            description="adds normal noise of standard deviation sigma",
        ),
        AttackSpec(
            name="GaussianBlur",
            norm="none",
            settings={"sigma": 1.0},
            strength="sigma",
            needs_gradient=False,
            source="Hendrycks and Dietterich 2019",
            description="blurs with a Gaussian of sigma pixels",
        ),
        AttackSpec(
            name="SaltAndPepper",
            norm="none",
            settings={"share": 0.1},
            strength="share",
            needs_gradient=False,
            source="Hendrycks and Dietterich 2019",
            description="turns a share of the pixels black or white",
        ),
    )
}
"""Every attack at its usual strength, in the order of tables."""
