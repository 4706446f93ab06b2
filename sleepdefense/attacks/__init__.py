"""Attacks: what there is, how to name them, how to run them.

The catalogue needs no torch; what computes is imported on first use.
"""

from typing import TYPE_CHECKING, Any

from sleepdefense.attacks.catalogue import ATTACKS as ATTACKS
from sleepdefense.attacks.catalogue import SETTING_RULES as SETTING_RULES
from sleepdefense.attacks.catalogue import AttackSpec as AttackSpec
from sleepdefense.attacks.catalogue import find_attack as find_attack
from sleepdefense.attacks.parse import parse_attack as parse_attack
from sleepdefense.attacks.parse import parse_attacks as parse_attacks
from sleepdefense.attacks.profiles import PAPER_TEST as PAPER_TEST
from sleepdefense.attacks.profiles import PAPER_TRAINING as PAPER_TRAINING
from sleepdefense.attacks.profiles import PROFILES as PROFILES
from sleepdefense.attacks.profiles import QUICK_TRAINING as QUICK_TRAINING

if TYPE_CHECKING:
    from sleepdefense.attacks.any_of import AnyOf as AnyOf
    from sleepdefense.attacks.bpda import BPDA as BPDA
    from sleepdefense.attacks.build import perturb as perturb
    from sleepdefense.attacks.eot import EOT as EOT
    from sleepdefense.attacks.losses import LOSSES as LOSSES
    from sleepdefense.attacks.losses import attack_loss as attack_loss
    from sleepdefense.attacks.pairs import adversarial_pairs as adversarial_pairs
    from sleepdefense.attacks.refinement import refine_binarised as refine_binarised

_ON_FIRST_USE = {
    "BPDA": "bpda",
    "EOT": "eot",
    "LOSSES": "losses",
    "AnyOf": "any_of",
    "adversarial_pairs": "pairs",
    "attack_loss": "losses",
    "perturb": "build",
    "refine_binarised": "refinement",
}


def __getattr__(name: str) -> Any:
    """Import what computes when it is first asked for."""
    import importlib

    if name not in _ON_FIRST_USE:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(importlib.import_module(f"{__name__}.{_ON_FIRST_USE[name]}"), name)
