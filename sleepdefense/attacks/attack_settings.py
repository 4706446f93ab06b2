"""What can be set of an attack, and which values each setting takes."""

import math
from typing import NamedTuple

from sleepdefense.errors import ConfigError

SettingValue = bool | int | float | str


class SettingRule(NamedTuple):
    """What a setting means and which values it takes, whatever the attack.

    Attributes:
        kind: Type of the value.
        lowest: Every number must exceed it, or, if `may_be_lowest`, equal it.
        highest: Largest value.
        meaning: In a few words.
        may_be_lowest: Whether the lowest value is itself allowed.
        choices: The words that a setting of kind str takes.
        is_effort: Whether twice as much costs twice as much.
    """

    kind: type[bool] | type[int] | type[float] | type[str]
    lowest: float
    highest: float
    meaning: str
    may_be_lowest: bool = False
    choices: tuple[str, ...] = ()
    is_effort: bool = False


def _number(lowest: float, highest: float, meaning: str) -> SettingRule:
    return SettingRule(float, lowest, highest, meaning)


def _count(highest: float, meaning: str, *, is_effort: bool = True) -> SettingRule:
    return SettingRule(int, 1, highest, meaning, may_be_lowest=True, is_effort=is_effort)


def _switch(meaning: str) -> SettingRule:
    return SettingRule(bool, 0, 1, meaning)


def _choice(meaning: str, *choices: str) -> SettingRule:
    return SettingRule(str, 0, 0, meaning, choices=choices)


SETTING_RULES: dict[str, SettingRule] = {
    "epsilon": _number(0.0, math.inf, "largest perturbation, in the attack's norm"),
    "steps": _count(1_000_000, "steps of the search"),
    "relative_step": _number(0.0, 1000.0, "length of a step, as a fraction of epsilon"),
    "random_start": _switch("start at a random point of the epsilon ball"),
    "loss": _choice("what the gradient raises", "ce", "margin", "dlr"),
    "alpha": _number(0.0, 1.0, "length of the random step, part of epsilon"),
    "binary_search_steps": _count(100, "searches for the weight of the misclassification term"),
    "initial_const": _number(0.0, 1e10, "first weight of the misclassification term"),
    "confidence": SettingRule(
        float, 0.0, 1e6, "how far the wrong logit must lead, in logits", may_be_lowest=True
    ),
    "learning_rate": _number(0.0, 1000.0, "step of Adam in tanh space"),
    "trust_radius": _number(0.0, 1000.0, "how far the first steps may go, as a multiple of the pixels"),
    "abort_early": _switch("end a search whose loss no longer falls"),
    "repeats": _count(1_000_000, "independent tries, of which the best counts"),
    "directions": _count(1_000_000, "random directions tried for a start", is_effort=False),
    "start": _choice(
        "where the search begins: at noise blended in until the image is wrong, or at another image",
        "noise",
        "image",
    ),
    "queries": _count(100_000_000, "times that an image is shown to the model"),
    "version": _choice("AutoAttack's set of attacks", "standard", "rand"),
    "sigma": _number(0.0, 1000.0, "standard deviation: of an intensity, or of a blur in pixels"),
    "share": _number(0.0, 1.0, "share of pixels replaced, in (0, 1]"),
}
"""Every setting of any attack."""


def check_setting(attack: str, setting: str, value: SettingValue) -> SettingValue:
    """Return the value of a setting in the type of its rule.

    Args:
        attack: Name for messages.
        setting: Name of the setting.
        value: What somebody wants.

    Returns:
        The value as bool, int, float or str.

    Raises:
        ConfigError: The setting is unknown, or the value is of another type or out of range.
    """
    if setting not in SETTING_RULES:
        raise ConfigError(
            f"attack '{attack}': unknown setting '{setting}'; known: {', '.join(SETTING_RULES)}"
        )
    rule = SETTING_RULES[setting]
    where = f"attack '{attack}': '{setting}' ({rule.meaning})"
    if rule.kind is bool:
        if not isinstance(value, bool):
            raise ConfigError(f"{where} must be true or false, got {value!r}")
        return value
    if rule.kind is str:
        if value not in rule.choices:
            raise ConfigError(f"{where} must be one of {', '.join(rule.choices)}, got {value!r}")
        return value
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value):
        raise ConfigError(f"{where} must be a finite number, got {value!r}")
    if rule.kind is int and not float(value).is_integer():
        raise ConfigError(f"{where} must be a whole number, got {value!r}")
    is_low = value < rule.lowest or (value == rule.lowest and not rule.may_be_lowest)
    if is_low or value > rule.highest:
        relation = "at least" if rule.may_be_lowest else "above"
        limit = f" and at most {rule.highest:g}" if math.isfinite(rule.highest) else ""
        raise ConfigError(f"{where} must be {relation} {rule.lowest:g}{limit}, got {value!r}")
    return rule.kind(value)


def setting_text(value: SettingValue) -> str:
    """Write a setting so that it reads back as the same value: 0.3, 40, true, margin."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(value)
