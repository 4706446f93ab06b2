"""Named sets of attacks: what the papers train and test on, and what to run when nobody says otherwise."""

from sleepdefense.attacks.catalogue import AttackSpec, find_attack

_FGSM, _RAND, _PGD, _CW = (find_attack(name) for name in ("FGSM", "RAND+FGSM", "PGD", "CW"))

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
    find_attack("GaussianNoise"),
)
"""One set of each kind, cheap enough for a first try on one core."""

_SEARCHES = (
    "Inversion",
    "BinarySearchContrastReduction",
    "LinearSearchContrastReduction",
    "LinearSearchGaussianBlur",
)

DIM_42: tuple[AttackSpec, ...] = tuple(
    find_attack(f"{norm}:{name}")
    for norm, names in (
        (
            "L2",
            (
                "ContrastReduction",
                "DDN",
                "PGD",
                "BIM",
                "FGM",
                "AdditiveGaussianNoise",
                "AdditiveUniformNoise",
                "ClippingAwareAdditiveGaussianNoise",
                "ClippingAwareAdditiveUniformNoise",
                "RepeatedAdditiveGaussianNoise",
                "RepeatedAdditiveUniformNoise",
                "ClippingAwareRepeatedAdditiveGaussianNoise",
                "ClippingAwareRepeatedAdditiveUniformNoise",
                "DeepFool",
                *_SEARCHES,
                "CarliniWagner",
                "BrendelBethge",
                "Boundary",
                "LinearSearchBlendedUniformNoise",
            ),
        ),
        (
            "Linf",
            (
                "PGD",
                "BIM",
                "FGSM",
                "AdditiveUniformNoise",
                "RepeatedAdditiveUniformNoise",
                "DeepFool",
                *_SEARCHES,
                "LinearSearchBlendedUniformNoise",
                "BrendelBethge",
            ),
        ),
        ("L0", ("SaltAndPepperNoise", "Pointwise")),
        ("L1", (*_SEARCHES, "LinearSearchBlendedUniformNoise", "BrendelBethge")),
    )
    for name in names
)
"""The attacks of Tables 3 and 4 of the paper on denoised internal models, in its order: 22 + 12 + 2 + 6."""

DIM_42_PAPER: tuple[AttackSpec, ...] = tuple(
    spec.with_settings(steps=10) if spec.name == "DDN" else spec for spec in DIM_42
)
"""The same with the settings of foolbox 3.2.1, which the paper used: there DDN took 10 steps.

Three attacks were written otherwise there, which no setting brings back: DDN (a faulty length of steps),
SaltAndPepperNoise (it minimised the wrong norm) and Pointwise (foolbox 2.4).
"""

STANDARD: tuple[AttackSpec, ...] = (
    find_attack("Linf:FGSM"),
    find_attack("Linf:PGD"),
    find_attack("Linf:FMN"),
    find_attack("Linf:Square").with_settings(queries=1000),
    find_attack("Linf:AutoAttack"),
    find_attack("L2:FGM"),
    find_attack("L2:PGD"),
    find_attack("L2:DDN"),
    find_attack("L2:FMN"),
    find_attack("L2:Square").with_settings(queries=1000),
    find_attack("L2:AutoAttack"),
    find_attack("L1:SparseL1Descent"),
    find_attack("L1:FMN"),
    find_attack("L1:Square").with_settings(queries=1000),
    find_attack("L1:AutoAttack"),
    find_attack("L0:FMN"),
    find_attack("L0:Pointwise").with_settings(repeats=1),
)
"""What a claim of robustness has to stand today, with and without gradients; cheap ones first in a norm."""

QUICK: tuple[AttackSpec, ...] = (
    find_attack("Linf:FGSM"),
    find_attack("Linf:PGD"),
    find_attack("Linf:Square").with_settings(queries=100),
    find_attack("L2:FGM"),
    find_attack("L2:DDN").with_settings(steps=50),
    find_attack("L1:SparseL1Descent").with_settings(steps=50),
    find_attack("L0:FMN").with_settings(steps=50),
)
"""All four norms in less than a second an image: to see whether a robustness is there at all."""

PROFILES: dict[str, tuple[AttackSpec, ...]] = {
    "quick": QUICK,
    "standard": STANDARD,
    "dim42": DIM_42,
    "dim42-paper": DIM_42_PAPER,
    "paper": PAPER_TEST,
    "paper-training": PAPER_TRAINING,
    "quick-training": QUICK_TRAINING,
}
