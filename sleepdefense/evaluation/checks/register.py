"""Which checks there are, and what each is called."""

CHECKS: dict[str, str] = {
    "G1": "gradient exists",
    "G2": "gradient is right",
    "G3": "logits are usable",
    "G4": "same answer twice",
    "G5": "no inner optimisation",
    "S1": "many steps beat one",
    "S2": "more budget, less accuracy",
    "S3": "a large budget kills",
    "S4": "white box beats black box",
    "S5": "random search does not win",
    "S6": "attack has converged",
    "S7": "attacked loss rises",
    "T1": "knowing the defence helps",
    "T2": "nothing left without the defence",
    "T3": "a planted weakness is found",
    "R1": "attacked images are valid",
    "R2": "worst case image by image",
    "R3": "context is recorded",
}
"""Every check by its name in the documentation.

Source:
    Carlini et al. 2019, "On Evaluating Adversarial Robustness"; the flags of AutoAttack (Croce and Hein
    2020); Pintor et al. 2022, "Indicators of Attack Failure"; Zimmermann et al. 2022 for T3.
"""

GRADIENT_CHECKS = ("G1", "G2", "G3", "G4", "G5")
"""Cheap, to be done before any attack."""

ATTACK_CHECKS = ("S1", "S2", "S3", "S4", "S5", "S6", "S7", "T1", "T2", "T3", "R1")
"""Done with small attacks of their own."""

TABLE_CHECKS = ("S1", "S2", "S3", "S4", "T1", "R1", "R2", "R3")
"""Done on finished results, without a model."""

ONCE_PER_SYSTEM = ("S3", "S4", "S5")
"""Judged on a whole system after all that was done to it; the others are judged on each attack surface."""
