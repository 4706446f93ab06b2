"""Named sets of attacks: what the papers train and test on, and smaller ones."""

from sleepdefense.attacks.catalogue import ATTACKS, AttackSpec

_FGSM, _RAND, _PGD, _CW = (ATTACKS[name] for name in ("FGSM", "RAND+FGSM", "PGD", "CW"))

PAPER_TRAINING: tuple[AttackSpec, ...] = (
    *(_FGSM.with_settings(epsilon=epsilon) for epsilon in (0.2, 0.25, 0.3, 0.35)),
    *(_RAND.with_settings(epsilon=epsilon) for epsilon in (0.2, 0.25, 0.3, 0.35)),
    *(_CW.with_settings(learning_rate=rate) for rate in (6.0, 8.0, 10.0, 12.0)),
)
"""The twelve sets a purifier is trained on in Talafha et al. 2023, after Li and Ji 2019.

There the last four are called CW at epsilon .2, .25, .3 and .35, but that is a label only: what changes is
the step of Adam, 6, 8, 10 and 12 (docs/decisions.md).
"""

PAPER_TEST: tuple[AttackSpec, ...] = (_FGSM, _RAND, _CW)
"""The three columns of the tables of Talafha et al. 2023."""

QUICK_TRAINING: tuple[AttackSpec, ...] = (
    _FGSM,
    _RAND,
    _PGD.with_settings(steps=10, relative_step=0.2),
    _CW.with_settings(steps=20),
    ATTACKS["GaussianNoise"],
)
"""One set of each kind, cheap enough for a first try on one core."""

PROFILES: dict[str, tuple[AttackSpec, ...]] = {
    "paper": PAPER_TEST,
    "paper-training": PAPER_TRAINING,
    "quick-training": QUICK_TRAINING,
}
