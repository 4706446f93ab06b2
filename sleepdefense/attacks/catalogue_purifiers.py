"""Attacks that the papers on purifiers train and test on, and corruptions that know nothing of the model."""

from sleepdefense.attacks.attack_spec import AttackSpec

_CW_PAPER = {
    "learning_rate": 10.0,
    "steps": 100,
    "binary_search_steps": 1,
    "initial_const": 100.0,
    "confidence": 0.0,
    "abort_early": False,
}

PURIFIER_ATTACKS: tuple[AttackSpec, ...] = (
    AttackSpec(
        name="FGSM",
        norm="Linf",
        epsilon=0.3,
        settings={"loss": "ce"},
        source="Goodfellow et al. 2015",
        description="one step along the sign of the gradient",
        paper_name="FastGradientAttack",
    ),
    AttackSpec(
        name="RAND+FGSM",
        norm="Linf",
        epsilon=0.3,
        settings={"alpha": 0.05},
        is_random=True,
        source="Tramer et al. 2018; epsilon and alpha of Samangouei et al. 2018",
        description="a random step of length alpha, then FGSM with what is left of epsilon",
    ),
    AttackSpec(
        name="PGD",
        norm="Linf",
        epsilon=0.3,
        settings={"steps": 40, "relative_step": 1 / 30, "random_start": True, "loss": "ce"},
        is_random=True,
        is_iterative=True,
        source="Madry et al. 2018",
        description="many small FGSM steps from a random start, kept inside the ball",
        paper_name="PGD",
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
            "abort_early": False,
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
        access="none",
        is_random=True,
        source="Hendrycks and Dietterich 2019",
        description="adds normal noise of standard deviation sigma",
    ),
    AttackSpec(
        name="GaussianBlur",
        norm="none",
        settings={"sigma": 1.0},
        strength="sigma",
        access="none",
        source="Hendrycks and Dietterich 2019",
        description="blurs with a Gaussian of sigma pixels",
    ),
    AttackSpec(
        name="SaltAndPepper",
        norm="none",
        settings={"share": 0.1},
        strength="share",
        access="none",
        is_random=True,
        source="Hendrycks and Dietterich 2019",
        description="turns a share of the pixels black or white",
    ),
)
"""Every one at its usual strength. Files of results hold their names: these stay as they are."""
