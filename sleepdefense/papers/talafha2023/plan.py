"""How much of everything a recipe takes at each scale."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sleepdefense.config import ConversionConfig, ModelConfig, PairsConfig, SleepSection
from sleepdefense.data.catalogue import find_dataset
from sleepdefense.evaluation import SubstituteConfig
from sleepdefense.training import EndToEndConfig

TARGETS = ("C1", "C2", "C3")
"""The classifiers that are defended."""

_RATES = "CW(learning_rate={rate:g},steps={steps})"
_STRENGTHS = (0.2, 0.25, 0.3, 0.35)


def training_attacks(*, rates: tuple[float, ...], cw_steps: int) -> str:
    """Return FGSM and RAND+FGSM at the four strengths of the paper, and CW at learning rates.

    >>> training_attacks(rates=(10.0,), cw_steps=5)
    'FGSM:0.2,FGSM:0.25,FGSM:0.3,FGSM:0.35,RAND+FGSM:0.2,RAND+FGSM:0.25,RAND+FGSM:0.3,RAND+FGSM:0.35,CW(learning_rate=10,steps=5)'
    """
    names = [f"{name}:{strength:g}" for name in ("FGSM", "RAND+FGSM") for strength in _STRENGTHS]
    return ",".join([*names, *(_RATES.format(rate=rate, steps=cw_steps) for rate in rates)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One scale.

    Attributes:
        train: Training images, those held out included; None all.
        held_out: The last of them, kept out of every training: they judge what a sleep may cost.
        test: Test images, the first so many; None all.
        classifiers: C1 to C4.
        pairs: What the purifiers learn to remove.
        purifier: Defense-VAE.
        joint: Training of purifier and classifier together, by Eq. 10; its model is that of `purifier`.
        joint_loss: How its three losses are put together.
        joint_images: Training images for it, the first so many; None all.
        joint_is_random: Whether both begin at random weights, as printed, or as they were trained apart.
        conversion: How the purifiers are converted.
        sleep: How they sleep.
        gan: Defense-GAN, its projection included; None: not at this scale.
        members: Classifiers of an ensemble, >= 2.
        cw_steps: Iterations of the CW attack on test images.
        white_box_images: Test images for CW through a purifier, the first so many.
        gan_images: Test images that Defense-GAN purifies where it is not attacked itself, the first so many;
            None all.
        gan_white_box_images: The same where it is, which takes three times as long.
        batch_size: Images attacked at once.
        asked: Test images that substitutes begin with.
        substitute: How they are trained.
        words: What a title says of the scale.
    """

    train: int | None
    held_out: int
    test: int | None
    classifiers: Mapping[str, ModelConfig]
    pairs: PairsConfig
    purifier: ModelConfig
    joint: ModelConfig
    joint_loss: EndToEndConfig = field(default_factory=EndToEndConfig)
    joint_images: int | None = None
    joint_is_random: bool = True
    conversion: ConversionConfig = field(default_factory=ConversionConfig)
    sleep: SleepSection = field(default_factory=SleepSection)
    gan: ModelConfig | None = None
    members: int = 3
    cw_steps: int = 100
    white_box_images: int = 200
    gan_images: int | None = None
    gan_white_box_images: int = 200
    batch_size: int = 250
    asked: int = 150
    substitute: SubstituteConfig = field(default_factory=SubstituteConfig)
    words: str = ""

    def substitute_for(self, seed: int) -> SubstituteConfig:
        """Return how substitutes of one repetition are trained."""
        return replace(self.substitute, seed=seed)

    @property
    def attacks(self) -> tuple[str, ...]:
        """The attacks of the tables, in their order, as `parse_attacks` reads them."""
        cw = "CW" if self.cw_steps == 100 else f"CW(steps={self.cw_steps})"
        return ("FGSM", "RAND+FGSM", cw)


ATTACK_NAMES = ("FGSM", "RAND+FGSM", "CW")
"""What the paper's tables call them."""


def _classifiers(width: int, hidden: int, epochs: int, batch_size: int) -> Mapping[str, ModelConfig]:
    settings = {
        "C1": {"width": width},
        "C2": {"width": width},
        "C3": {"hidden": hidden},
        "C4": {"hidden": hidden},
    }
    return {
        name: ModelConfig(model=name.lower(), settings=each, epochs=epochs, batch_size=batch_size)
        for name, each in settings.items()
    }


_SMOKE = Plan(
    train=200,
    held_out=40,
    test=40,
    classifiers=_classifiers(8, 48, 4, 16),
    pairs=PairsConfig(attacks="FGSM,RAND+FGSM,CW(steps=3)"),
    purifier=ModelConfig(
        model="defense-vae",
        settings={"width": 4, "latent": 16, "kl_weight": 0.0},
        epochs=3,
        batch_size=16,
        learning_rate=2e-3,
    ),
    joint=ModelConfig(model="defense-vae", epochs=1, batch_size=32, learning_rate=2e-3),
    joint_loss=EndToEndConfig(num_steps=2, calibration_images=64),
    joint_images=64,
    conversion=ConversionConfig(images=64),
    sleep=SleepSection(settings={"num_steps": 8, "batch_size": 16, "max_images": 64}),
    gan=ModelConfig(
        model="defense-gan",
        settings={"width": 4, "latent": 16, "steps": 5, "restarts": 2, "critic_steps": 2},
        epochs=1,
        batch_size=32,
        learning_rate=5e-4,
    ),
    members=2,
    cw_steps=5,
    white_box_images=10,
    gan_white_box_images=10,
    batch_size=40,
    asked=30,
    substitute=SubstituteConfig(rounds=2, epochs=2, batch_size=16),
    words="too small to mean anything: it shows that all parts work",
)
"""A minute: shows that all parts work, and nothing else."""

_CPU = Plan(
    train=11_000,
    held_out=1_000,
    test=1_000,
    classifiers=_classifiers(16, 200, 5, 64),
    pairs=PairsConfig(attacks=training_attacks(rates=(10.0,), cw_steps=5)),
    purifier=ModelConfig(
        model="defense-vae",
        settings={"width": 16, "latent": 128, "kl_weight": 0.0},
        epochs=8,
        batch_size=64,
    ),
    joint=ModelConfig(model="defense-vae", epochs=1, batch_size=64),
    joint_loss=EndToEndConfig(num_steps=4),
    joint_images=2_000,
    joint_is_random=False,
    gan=ModelConfig(
        model="defense-gan",
        settings={"width": 16, "latent": 64, "steps": 60, "restarts": 4, "critic_steps": 2},
        epochs=15,
        batch_size=64,
        learning_rate=5e-4,
    ),
    white_box_images=100,
    words="10,000 training images; classifiers and purifiers of a quarter of the width; E2E fine-tunes both "
    "for one epoch on 2,000 images; Defense-GAN of a quarter of the width, 15 epochs, L = 60, R = 4",
)
"""Twenty minutes for one seed on one core: a sixth of the images, a quarter of the width."""

_PAPER = Plan(
    train=None,
    held_out=1_000,
    test=None,
    classifiers=_classifiers(64, 200, 20, 128),
    pairs=PairsConfig(attacks="paper-training", pairing="all"),
    purifier=ModelConfig(
        model="defense-vae",
        settings={"width": 64, "latent": 128, "kl_weight": 0.0},
        epochs=5,
        batch_size=16,
        learning_rate=5e-4,
    ),
    joint=ModelConfig(model="defense-vae", epochs=5, batch_size=16, learning_rate=5e-4),
    gan=ModelConfig(model="defense-gan", epochs=833, batch_size=50, learning_rate=1e-4),
    members=5,
    white_box_images=1_000,
    gan_images=1_000,
    gan_white_box_images=1_000,
    words="networks, attacks and epochs as in the paper and the code of its predecessors",
)

_PLANS: dict[str, Plan] = {"smoke": _SMOKE, "cpu": _CPU, "paper": _PAPER}


def plan_for(scale: str, dataset: str) -> Plan:
    """Return how much of everything to take for a data set.

    Args:
        scale: One of the three.
        dataset: Name of the data set; faces ask for smaller networks on a CPU.
    """
    plan = _PLANS[scale]
    return plan if find_dataset(dataset).shape[0] == 1 else _for_faces(plan, scale, dataset)


def _for_faces(plan: Plan, scale: str, dataset: str) -> Plan:
    """Return the plan for photographs: fewer and narrower on a CPU, one score for each attribute."""
    attributes = len(find_dataset(dataset).attributes)
    scored = {"attributes": attributes} if attributes > 1 else {}
    narrow = {} if scale == "paper" else {"width": 4 if scale == "smoke" else 8}
    classifiers = {
        name: replace(
            each, settings={**each.settings, **(narrow if "width" in each.settings else {}), **scored}
        )
        for name, each in plan.classifiers.items()
    }
    purifier = replace(plan.purifier, settings={**plan.purifier.settings, **narrow})
    plan = replace(plan, classifiers=classifiers, purifier=purifier)
    if scale == "paper":
        gan = None if plan.gan is None else replace(plan.gan, settings={"restarts": 2})
        return replace(plan, gan=gan)
    if scale == "cpu":
        return replace(
            plan,
            train=3_500,
            held_out=500,
            joint_images=500,
            gan=None,
            words="3,000 training images, networks of an eighth of the width; E2E fine-tunes both for one "
            "epoch on 500 images",
        )
    return replace(
        plan,
        train=128,
        held_out=16,
        test=16,
        purifier=replace(purifier, batch_size=8),
        gan=None,
        asked=8,
    )
