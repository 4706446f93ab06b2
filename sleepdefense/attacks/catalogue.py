"""All attacks, by name. Nothing here computes; `build.py` knows how. Importing this costs nothing."""

import difflib
from collections.abc import Iterable
from dataclasses import replace

from sleepdefense.attacks.attack_costs import COSTS
from sleepdefense.attacks.attack_settings import SETTING_RULES as SETTING_RULES
from sleepdefense.attacks.attack_settings import SettingRule as SettingRule
from sleepdefense.attacks.attack_settings import SettingValue as SettingValue
from sleepdefense.attacks.attack_spec import NORMS as NORMS
from sleepdefense.attacks.attack_spec import AttackSpec as AttackSpec
from sleepdefense.attacks.attack_spec import Norm as Norm
from sleepdefense.attacks.catalogue_dim import DIM_ATTACKS
from sleepdefense.attacks.catalogue_purifiers import PURIFIER_ATTACKS
from sleepdefense.attacks.catalogue_stronger import STRONGER_ATTACKS
from sleepdefense.errors import ConfigError


def _listed(specs: Iterable[AttackSpec]) -> dict[str, AttackSpec]:
    """Give each attack its title: its bare name if it is the first of that name, else with its norm."""
    listed: dict[str, AttackSpec] = {}
    taken: set[str] = set()
    for spec in specs:
        title = f"{spec.norm}:{spec.name}" if spec.name in taken else spec.name
        taken.add(spec.name)
        name = f"{spec.norm}:{spec.name}"
        listed[name] = replace(spec, title=title, usual=spec.settings, **COSTS[name]._asdict())
    return listed


ATTACKS: dict[str, AttackSpec] = _listed((*PURIFIER_ATTACKS, *DIM_ATTACKS, *STRONGER_ATTACKS))
"""Every attack at its usual strength, by "Norm:Name"."""

_BY_LOWER_CASE = {
    **{name.lower(): spec for name, spec in ATTACKS.items()},
    **{spec.title.lower(): spec for spec in ATTACKS.values()},
}


def find_attack(name: str) -> AttackSpec:
    """Return an attack of the catalogue at its usual strength.

    Args:
        name: "L2:PGD", or a bare name, which stands for the first attack of that name. Upper and lower case
            are the same.

    Returns:
        The attack.

    Raises:
        ConfigError: There is none of that name, or not in that norm.

    >>> find_attack("PGD").norm, find_attack("L2:PGD").norm
    ('Linf', 'L2')
    """
    found = _BY_LOWER_CASE.get(name.lower())
    if found is not None:
        return found
    norm, _, bare = name.rpartition(":")
    same = [spec for spec in ATTACKS.values() if spec.name.lower() == bare.lower()]
    if same:
        norms = " and ".join(spec.norm for spec in same)
        raise ConfigError(f"attack '{name}': '{same[0].name}' is measured in {norms}, not in {norm}")
    close = difflib.get_close_matches(bare.lower(), [spec.name.lower() for spec in ATTACKS.values()], n=3)
    likely = dict.fromkeys(spec.name for spec in ATTACKS.values() if spec.name.lower() in close)
    hint = f"did you mean {' or '.join(likely)}? " if likely else ""
    raise ConfigError(f"unknown attack '{name}'; {hint}`sleepdefense attacks` lists all")
