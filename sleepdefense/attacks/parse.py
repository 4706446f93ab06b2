"""From text to attacks: "FGSM", "FGSM:0.3", "Linf:PGD(epsilon=0.2,steps=40)", and lists of them."""

import re
from collections.abc import Sequence

from sleepdefense.attacks.catalogue import NORMS, SETTING_RULES, AttackSpec, SettingValue, find_attack
from sleepdefense.attacks.profiles import PROFILES
from sleepdefense.errors import ConfigError

_SHAPE = re.compile(
    rf"(?:(?P<norm>{'|'.join(NORMS)})\s*:)?\s*(?P<name>[A-Za-z][A-Za-z0-9+_-]*)\s*"
    r"(?:\((?P<settings>[^()]*)\)|:(?P<strength>[^:(),]+))?",
    re.IGNORECASE,
)


def parse_attack(text: str) -> AttackSpec:
    """Read one attack.

    Args:
        text: A name ("FGSM"), a name and its strength ("FGSM:0.3", "GaussianNoise:0.2"), or a name and
            settings ("PGD(epsilon=0.2,steps=40)"); in front of it, if wanted, the norm ("L2:PGD"): without it
            the first attack of that name is meant. Upper and lower case are the same.

    Returns:
        The catalogue's attack with these settings.

    Raises:
        ConfigError: The text is not of this form, or the name, norm, setting or value is unknown.

    >>> parse_attack("Linf:FGSM(epsilon=0.2)").label
    'FGSM 0.2'
    """
    match = _SHAPE.fullmatch(text.strip())
    if match is None:
        raise ConfigError(
            f"cannot read the attack '{text}': write NAME, NAME:STRENGTH or NAME(setting=value,...), such as "
            f"FGSM, L2:DDN, FGSM:0.3 or PGD(epsilon=0.2,steps=40); `sleepdefense attacks` lists all"
        )
    if match["name"].lower() in PROFILES:
        raise ConfigError(f"'{match['name']}' is a profile, which takes neither norm nor settings")
    spec = find_attack(f"{match['norm']}:{match['name']}" if match["norm"] else match["name"])
    if match["strength"] is not None:
        return spec.with_settings(**{spec.strength: _value(text, spec.strength, match["strength"])})
    changes: dict[str, SettingValue] = {}
    for item in filter(None, (part.strip() for part in (match["settings"] or "").split(","))):
        setting, separator, value = (part.strip() for part in item.partition("="))
        if not separator or not value:
            raise ConfigError(f"attack '{text}': expected setting=value, got '{item}'")
        if setting in changes:
            raise ConfigError(f"attack '{text}': setting '{setting}' is given twice")
        changes[setting] = _value(text, setting, value)
    return spec.with_settings(**changes)


def parse_attacks(attacks: str | Sequence[str | AttackSpec]) -> tuple[AttackSpec, ...]:
    """Read several attacks; commas inside parentheses do not separate them.

    Args:
        attacks: Text such as "FGSM,PGD(epsilon=0.2,steps=40)", or a sequence of texts and finished attacks.
            The name of a profile stands for its attacks.

    Returns:
        The attacks in the order given, at least one.

    Raises:
        ConfigError: An attack cannot be read or is listed twice, or there is none.

    >>> [str(spec) for spec in parse_attacks("FGSM:0.1, PGD(epsilon=0.2,steps=5)")]
    ['FGSM:0.1', 'PGD(epsilon=0.2,steps=5)']
    """
    items: list[str | AttackSpec] = [attacks] if isinstance(attacks, str) else list(attacks)
    specs: list[AttackSpec] = []
    for item in items:
        if isinstance(item, AttackSpec):
            specs.append(item)
            continue
        for text in filter(None, (part.strip() for part in re.split(r",(?![^()]*\))", item))):
            specs.extend(PROFILES[text.lower()] if text.lower() in PROFILES else (parse_attack(text),))
    if not specs:
        raise ConfigError(
            f"no attack given: name some (`sleepdefense attacks` lists all), or a profile of "
            f"{', '.join(PROFILES)}"
        )
    seen: set[str] = set()
    for spec in specs:
        if spec.key in seen:
            raise ConfigError(f"attack '{spec.label}' is listed twice")
        seen.add(spec.key)
    return tuple(specs)


def _value(attack: str, setting: str, text: str) -> SettingValue:
    """Read true, false, a number, or the word of a setting that takes words."""
    word = text.strip().lower()
    if setting in SETTING_RULES and SETTING_RULES[setting].choices:
        return word
    if word in ("true", "false"):
        return word == "true"
    try:
        return int(word)
    except ValueError:
        pass
    try:
        return float(word)
    except ValueError:
        raise ConfigError(f"attack '{attack}': expected a number, true or false, got '{text}'") from None
