"""How much of everything each scale takes."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sleepdefense.config import Settings as SettingsOf
from sleepdefense.training import AdversarialConfig

GRADIENT = "L2:DDN,L2:PGD,L2:BIM,L2:FGM,L2:DeepFool,Linf:PGD,Linf:BIM,Linf:FGSM,Linf:DeepFool"
NOISE = (
    "L2:ContrastReduction,L2:AdditiveGaussianNoise,L2:AdditiveUniformNoise,"
    "L2:ClippingAwareAdditiveGaussianNoise,L2:ClippingAwareAdditiveUniformNoise,"
    "L2:RepeatedAdditiveGaussianNoise,L2:RepeatedAdditiveUniformNoise,"
    "L2:ClippingAwareRepeatedAdditiveGaussianNoise,L2:ClippingAwareRepeatedAdditiveUniformNoise,"
    "L2:Inversion,L2:BinarySearchContrastReduction,Linf:AdditiveUniformNoise,"
    "Linf:RepeatedAdditiveUniformNoise,Linf:Inversion,Linf:BinarySearchContrastReduction,"
    "L1:Inversion,L1:BinarySearchContrastReduction"
)
SEARCH = (
    "L2:LinearSearchContrastReduction,L2:LinearSearchGaussianBlur,L2:LinearSearchBlendedUniformNoise,"
    "Linf:LinearSearchContrastReduction,Linf:LinearSearchGaussianBlur,Linf:LinearSearchBlendedUniformNoise,"
    "L1:LinearSearchContrastReduction,L1:LinearSearchGaussianBlur,L1:LinearSearchBlendedUniformNoise,"
    "L0:SaltAndPepperNoise"
)
BOUNDARY = "L1:BrendelBethge,L2:BrendelBethge,Linf:BrendelBethge,L0:Pointwise,L2:Boundary,L2:CarliniWagner"
"""The 42 attacks in four groups, cheap ones first."""

SATURATING = "L2:FGM,L2:BIM,L2:PGD,L2:DDN,Linf:FGSM,Linf:BIM,Linf:PGD"
"""Attacks that climb the cross-entropy."""

STRONGER = "Linf:PGD,Linf:FMN,L2:DDN,L2:FMN,L1:FMN,L0:FMN,Linf:AutoAttack,L2:AutoAttack,L1:AutoAttack"
"""What the paper did not run, and two that it did, through the stand-ins of each network."""


ABLATED = ("singleIM", "IM", "Dn-singleIM", "DIM")
"""The networks of Tables 2 and 4 that differ in one part each."""


ASLEEP = "Linf:FGSM,Linf:PGD,L2:DDN"
"""Attacks before and after a sleep."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Attacks that are run together.

    Attributes:
        name: For the file of their results.
        attacks: Names with commas between.
        images: Test images.
        systems: Whom they are run on; None: all.
    """

    name: str
    attacks: str
    images: int
    systems: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How long internal models and denoisers learn, where that is not as long as usual.

    Attributes:
        images: Training images, the first so many.
        epochs: Passes over them.
        batch_size: Images in a step.
    """

    images: int
    epochs: int
    batch_size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much of everything one scale takes.

    Attributes:
        name: As a title says it.
        train_images: Training images; None: all.
        epochs: Of internal models and denoisers.
        batch_size: Images in a step of theirs.
        dim: Settings of the internal models.
        cnn: Settings of the vanilla CNN, where there are no published weights.
        cnn_epochs: Its epochs.
        madry: Settings of Madry's network.
        madry_epochs: Its epochs, of batches of 50.
        adversarial: How its images are attacked.
        synthesis: Settings of ABS, where there are no published weights.
        synthesis_epochs: Its epochs.
        num_steps: Descents on a latent of ABS.
        columns: Systems of Tables 1 and 3 that are run.
        groups: Attacks of the paper.
        stronger: Attacks through the stand-ins.
        intensities: The paper's gradient attacks, on DIM with intensities as logits.
        intensity_factors: What these are multiplied by, one experiment each.
        short_ddn: DDN as short as in the foolbox of the paper, beside them.
        latents: Test images of Figure 3.
        ablation: How long those of Tables 2 and 4 learn, all of them alike; None: as usual.
        ablation_columns: Systems of these tables that are run.
        ablation_groups: Attacks of these tables; none: as `groups`.
        sleep_images: Images that DIM sleeps on.
        sleep_judges: The last training images, which judge what the sleep may cost.
        asleep: Attacks on DIM before and after its sleep.
        asleep_adaptive: The same through its stand-ins.
    """

    name: str
    train_images: int | None
    epochs: int
    batch_size: int = 128
    dim: SettingsOf = field(default_factory=dict)
    cnn: SettingsOf = field(default_factory=dict)
    cnn_epochs: int = 3
    madry: SettingsOf = field(default_factory=dict)
    madry_epochs: int = 84
    adversarial: AdversarialConfig = field(default_factory=AdversarialConfig)
    synthesis: SettingsOf = field(default_factory=dict)
    synthesis_epochs: int = 10
    num_steps: int = 49
    columns: tuple[str, ...] = ("CNN", "biCNN", "Madry", "biABS", "ABS", "biDIM", "DIM")
    groups: tuple[Group, ...] = ()
    stronger: tuple[Group, ...] = ()
    intensities: Group | None = None
    intensity_factors: tuple[float, ...] = (1.0, 1.35, 2.0)
    short_ddn: Group = field(
        default_factory=lambda: Group(name="short-ddn", attacks="L2:DDN(steps=10)", images=500)
    )
    latents: int = 1000
    ablation: Schedule | None = None
    ablation_columns: tuple[str, ...] = ("CNN", *ABLATED, "biDIM")
    ablation_groups: tuple[Group, ...] = ()
    sleep_images: int = 1024
    sleep_judges: int = 2000
    asleep: Group = field(default_factory=lambda: Group(name="sleep", attacks=ASLEEP, images=1000))
    asleep_adaptive: Group = field(
        default_factory=lambda: Group(name="sleep-adaptive", attacks="Linf:PGD", images=1000)
    )

    def group(self, name: str) -> Group:
        """Return the attacks of the paper that are run under a name."""
        return next(each for each in self.groups if each.name == name)


_PLAIN = ("CNN", "biCNN", "Madry", "biDIM", "DIM", "singleIM", "IM", "Dn-singleIM")
_MAIN = ("CNN", "biDIM", "DIM")

PLANS: Mapping[str, Plan] = {
    "smoke": Plan(
        name="smoke test, of no meaning as a result",
        train_images=400,
        epochs=20,
        batch_size=32,
        dim={"denoiser_width": 32, "width": 32},
        cnn={"width": 4},
        cnn_epochs=2,
        madry={"width": 2, "hidden": 16},
        madry_epochs=1,
        adversarial=AdversarialConfig(steps=2, step_size=0.1),
        synthesis={"width": 4, "samples": 20},
        synthesis_epochs=1,
        num_steps=1,
        groups=(
            Group(name="gradient", attacks="L2:FGM,Linf:FGSM", images=10),
            Group(name="noise", attacks="L2:AdditiveGaussianNoise,L1:Inversion", images=10),
        ),
        stronger=(Group(name="stronger", attacks="Linf:PGD(steps=3)", images=5, systems=("biDIM", "DIM")),),
        intensities=Group(name="intensities", attacks="L2:FGM,Linf:FGSM", images=10),
        latents=60,
        sleep_images=64,
        sleep_judges=100,
        asleep=Group(name="sleep", attacks="Linf:FGSM,L2:DDN(steps=5)", images=10),
        asleep_adaptive=Group(name="sleep-adaptive", attacks="Linf:PGD(steps=3)", images=5),
    ),
    "cpu": Plan(
        name="reduced scale (cpu)",
        train_images=None,
        epochs=10,
        madry={"width": 8, "hidden": 128},
        madry_epochs=2,
        adversarial=AdversarialConfig(steps=7, step_size=0.1, ramp=600),
        num_steps=0,
        groups=(
            Group(name="gradient", attacks=GRADIENT, images=500, systems=_PLAIN),
            Group(name="noise", attacks=NOISE, images=500, systems=_PLAIN),
            Group(
                name="abs", attacks="L2:FGM,L2:BIM,Linf:FGSM,Linf:BIM", images=100, systems=("biABS", "ABS")
            ),
            Group(name="search", attacks=SEARCH, images=200, systems=_MAIN),
            Group(name="boundary", attacks=BOUNDARY, images=50, systems=_MAIN),
        ),
        stronger=(Group(name="stronger", attacks=STRONGER, images=200, systems=_MAIN),),
        intensities=Group(name="intensities", attacks=SATURATING, images=500),
        ablation=Schedule(images=20_000, epochs=3, batch_size=32),
        ablation_columns=ABLATED,
        ablation_groups=(
            Group(name="ablation", attacks="L2:FGM,L2:BIM,Linf:FGSM,Linf:BIM,Linf:PGD", images=200),
            Group(name="ablation-ddn", attacks="L2:DDN", images=100),
        ),
        asleep=Group(name="sleep", attacks="Linf:FGSM,Linf:PGD,L2:DDN(steps=50)", images=200),
        asleep_adaptive=Group(name="sleep-adaptive", attacks="Linf:PGD", images=100),
    ),
    "paper": Plan(
        name="as printed",
        train_images=None,
        epochs=50,
        groups=(
            Group(name="gradient", attacks=GRADIENT, images=1000),
            Group(name="noise", attacks=NOISE, images=1000),
            Group(name="search", attacks=SEARCH, images=1000),
            Group(name="boundary", attacks=BOUNDARY, images=1000),
        ),
        stronger=(Group(name="stronger", attacks=STRONGER, images=1000),),
        intensities=Group(name="intensities", attacks=SATURATING, images=1000),
        latents=10000,
    ),
}
"""The paper gives neither its epochs nor its number of images: those at "paper" are ours."""
