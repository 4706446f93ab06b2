"""How much of everything, at each scale."""

from dataclasses import dataclass

from sleepdefense.config import ModelConfig
from sleepdefense.training import SaturationConfig

NETWORKS = ("sigmoid MLP", "ReLU MLP", "CNN")
TRAININGS = ("vanilla", "adversarial", "saturated")
EPSILON = 0.25
"""Of the fast gradient sign, in training and in the table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stretch of a saturating training: how long, how fast, and under which penalty."""

    epochs: int
    learning_rate: float
    saturation: SaturationConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkPlan:
    """How one of the three networks is trained in three ways.

    Attributes:
        vanilla: The network, and how it trains without a penalty.
        adversarial_epochs: How long it learns from its own adversarial images, from fresh weights.
        stages: How the vanilla network is led into saturation; none: from fresh weights on.
    """

    vanilla: ModelConfig
    adversarial_epochs: int
    stages: tuple[Stage, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much of everything.

    Attributes:
        train_images: Training images, the held-out ones included; None: all.
        held_out: The last so many of them judge saturation.
        fgsm_images: Test images under the paper's attack; None: all.
        strong_images: Test images under the strong attacks.
        query_images: Test images under attacks that ask for nothing but labels.
        strong: Attacks with gradients or scores, in Linf.
        query: Attacks that see labels only, in L2.
        descent_steps: Iterations of the targeted descents.
        path_points: Points on a path between two images.
        each: Test images of a class in a dissimilarity matrix.
        dimension: Of the random weights of section 8.
        sleep_images: Images of the sleep.
        sleep_test: Test images that are attacked before and after it.
    """

    train_images: int | None
    held_out: int
    fgsm_images: int | None
    strong_images: int
    query_images: int
    strong: str
    query: str
    descent_steps: int
    path_points: int
    each: int
    dimension: int
    sleep_images: int
    sleep_test: int


_STRONG = (
    "Linf:PGD(epsilon=0.25),Linf:PGD(epsilon=0.25,loss=margin),Linf:PGD(epsilon=0.25,loss=dlr),"
    "Linf:Square(epsilon=0.25,queries=500),Linf:AutoAttack(epsilon=0.25)"
)

PLANS: dict[str, Plan] = {
    "smoke": Plan(
        train_images=700,
        held_out=100,
        fgsm_images=100,
        strong_images=10,
        query_images=2,
        strong="Linf:PGD(epsilon=0.25,steps=5),Linf:PGD(epsilon=0.25,steps=5,loss=margin)",
        query="L2:HopSkipJump(steps=2)",
        descent_steps=20,
        path_points=21,
        each=5,
        dimension=2000,
        sleep_images=64,
        sleep_test=10,
    ),
    "cpu": Plan(
        train_images=None,
        held_out=2000,
        fgsm_images=None,
        strong_images=50,
        query_images=10,
        strong=_STRONG,
        query="L2:Boundary(steps=1000,start=image),L2:HopSkipJump(steps=20)",
        descent_steps=1000,
        path_points=201,
        each=100,
        dimension=20_000,
        sleep_images=1024,
        sleep_test=300,
    ),
    "paper": Plan(
        train_images=None,
        held_out=2000,
        fgsm_images=None,
        strong_images=1000,
        query_images=100,
        strong=_STRONG.replace("queries=500", "queries=5000"),
        query="L2:Boundary,L2:HopSkipJump",
        descent_steps=1000,
        path_points=1001,
        each=100,
        dimension=20_000,
        sleep_images=1024,
        sleep_test=2000,
    ),
}
