"""One attack as data: what it is called, how far it may go, what it asks of a model, what it costs."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from sleepdefense.attacks.attack_settings import SETTING_RULES, SettingValue, check_setting, setting_text
from sleepdefense.errors import ConfigError

Norm = Literal["Linf", "L2", "L1", "L0", "none"]
NORMS: tuple[Norm, ...] = ("Linf", "L2", "L1", "L0", "none")
Access = Literal["gradient", "query", "none"]
ACCESSES: tuple[Access, ...] = ("gradient", "query", "none")


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackSpec:
    """One attack at one strength.

    Attributes:
        name: As the papers write it, "FGSM"; an attack of several norms has one name in all of them.
        norm: What `epsilon` and distances are measured in; "none" for corruptions that have no budget.
        epsilon: Largest distance, in `norm`. An attack that minimises looks as far as it must: for it this is
            only where tables count. None: nowhere.
        settings: Everything else that can be set.
        strength: Which setting the short form "FGSM:0.3" sets.
        access: What it asks of the model: "gradient", "query" (outputs only), or "none" (it never looks).
        is_random: Whether it draws random numbers, in its usual settings and on a model with gradients.
        is_iterative: Whether it takes more than one step.
        minimises: Whether it looks for the nearest wrong image, rather than for one in the ball.
        needs_start: Whether it starts from another image, one to which the model gives another label.
        forward: Images shown to the model for each image attacked, about; measured on a small network.
        backward: Gradients taken for each image attacked, about.
        seconds: Processor time for each image attacked, on that network and one core, about.
        source: Paper, and where its settings come from.
        description: One line for a list.
        revision: Raised when the same text comes to mean other attacked images, so that kept ones are not
            taken for them.
        paper_name: Name in Table 3 of the paper on denoised internal models, or "".
        title: The name by which the catalogue finds it: "FGSM", or "L2:PGD" where "PGD" is another one.
        usual: The catalogue's settings, which names leave out; None for an attack that is not listed there.
    """

    name: str
    norm: Norm
    epsilon: float | None = None
    settings: Mapping[str, SettingValue] = field(default_factory=dict, hash=False)
    strength: str = "epsilon"
    access: Access = "gradient"
    is_random: bool = False
    is_iterative: bool = False
    minimises: bool = False
    needs_start: bool = False
    forward: int = field(default=0, compare=False)
    backward: int = field(default=0, compare=False)
    seconds: float = field(default=0.0, compare=False)
    source: str = ""
    description: str = ""
    revision: int = 1
    paper_name: str = ""
    title: str = ""
    usual: Mapping[str, SettingValue] | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.norm not in NORMS:
            raise ConfigError(
                f"attack '{self.name}': norm must be one of {', '.join(NORMS)}, got '{self.norm}'"
            )
        if self.access not in ACCESSES:
            raise ConfigError(
                f"attack '{self.name}': access must be one of {', '.join(ACCESSES)}, got '{self.access}'"
            )
        checked = {name: check_setting(self.name, name, value) for name, value in self.settings.items()}
        object.__setattr__(self, "settings", checked)
        object.__setattr__(self, "title", self.title or self.name)
        if self.epsilon is not None:
            object.__setattr__(self, "epsilon", check_setting(self.name, "epsilon", self.epsilon))
            if self.norm == "none":
                raise ConfigError(f"attack '{self.name}' has no norm and takes no 'epsilon'")
        elif self.norm != "none" and not self.minimises:
            raise ConfigError(f"attack '{self.name}' needs an 'epsilon'")
        alpha = self.settings.get("alpha")
        if isinstance(alpha, float) and self.epsilon is not None and alpha >= self.epsilon:
            raise ConfigError(
                f"attack '{self.name}': the random step 'alpha' ({alpha:g}) must be shorter than "
                f"'epsilon' ({self.epsilon:g}), which it is a part of"
            )

    def with_settings(self, **changes: SettingValue) -> "AttackSpec":
        """Return the attack with other settings; `epsilon` is one of them. Its cost follows its steps.

        Raises:
            ConfigError: A setting is unknown to this attack, or its value is out of range.
        """
        known = self.adjustable
        for setting in changes:
            if setting not in known:
                raise ConfigError(
                    f"attack '{self.title}' has no setting '{setting}'; it has {', '.join(known) or 'none'}"
                )
        others = {name: value for name, value in changes.items() if name != "epsilon"}
        changed = replace(self, settings={**self.settings, **others})
        if "epsilon" in changes:
            epsilon = check_setting(self.title, "epsilon", changes["epsilon"])
            changed = replace(changed, epsilon=float(epsilon))
        factor = 1.0
        for setting in changes:
            if SETTING_RULES[setting].is_effort:
                factor *= changed.number(setting) / self.number(setting)
        return replace(
            changed,
            forward=round(factor * self.forward),
            backward=round(factor * self.backward),
            seconds=factor * self.seconds,
        )

    def number(self, setting: str) -> float:
        """Return a setting that is a number.

        Raises:
            ConfigError: The attack has no such setting, or it is no number.
        """
        value = self.epsilon if setting == "epsilon" else self.settings.get(setting)
        if value is None or isinstance(value, str):
            raise ConfigError(f"attack '{self.title}' needs a number '{setting}', got {value!r}")
        return float(value)

    @property
    def needs_gradient(self) -> bool:
        """Whether the model must be differentiable."""
        return self.access == "gradient"

    @property
    def adjustable(self) -> tuple[str, ...]:
        """Names of everything that `with_settings` takes."""
        return (*(("epsilon",) if self.norm != "none" else ()), *self.settings)

    @property
    def label(self) -> str:
        """How a table calls it: "FGSM 0.3", "PGD 0.3 (steps=100)", "L2:PGD 1.5"."""
        strength, others = self._differences()
        written = ", ".join(f"{name}={setting_text(value)}" for name, value in others.items())
        extra = f" ({written})" if others else ""
        return self.title + (f" {setting_text(strength)}" if strength is not None else "") + extra

    @property
    def key(self) -> str:
        """A name for files and arrays, of letters, digits, dots, dashes and underscores; unique."""
        strength, others = self._differences()
        parts = [self.norm, re.sub(r"[^A-Za-z0-9]+", "-", self.name)]
        parts += [setting_text(strength)] if strength is not None else []
        parts += [f"{name}_{setting_text(value)}" for name, value in others.items()]
        return "-".join(parts)

    @property
    def identity(self) -> str:
        """What finished work is recognised by: the text, and the revision after the first."""
        return str(self) if self.revision == 1 else f"{self} (revision {self.revision})"

    def __str__(self) -> str:
        """The text that `parse_attack` turns back into this attack."""
        strength, others = self._differences()
        if not others:
            return self.title + (f":{setting_text(strength)}" if strength is not None else "")
        shown = {**({self.strength: strength} if strength is not None else {}), **others}
        written = ",".join(f"{name}={setting_text(value)}" for name, value in shown.items())
        return f"{self.title}({written})"

    def _differences(self) -> tuple[SettingValue | None, dict[str, SettingValue]]:
        """Return the strength, and the other settings where they are not the catalogue's."""
        usual = self.usual or {}
        strength = self.epsilon if self.strength == "epsilon" else self.settings[self.strength]
        others = {
            name: value
            for name, value in self.settings.items()
            if name != self.strength and usual.get(name) != value
        }
        return strength, others
