"""One line of a robustness table: what was attacked, how, and what was left."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sleepdefense.evaluation.metrics import median_distance, wilson_interval

OK = "ok"
UNFINISHED = "unfinished"


@dataclass(frozen=True, slots=True, kw_only=True)
class RobustnessRow:
    """One system under one attack in one threat model.

    Attributes:
        system: Name of what was evaluated.
        attack: The attack as a table calls it, "FGSM 0.3"; "clean" without one.
        key: The attack's name for files and arrays; "clean" without one.
        spec: The text that `parse_attack` turns back into the attack; "" without one.
        norm: What distances are measured in; "none" (clean images, corruptions) measures L2.
        epsilon: Budget in that norm, or None.
        threat_model: What the attacker knows. "oblivious": a part of the system; "white-box": all of it;
            "adaptive": all of it, and the attack was changed to suit; "black-box-substitute": another
            network; "black-box-query": the answers of the system; "none": nothing.
        n: Images judged; 0 if the row failed.
        correct: Images that the attack leaves classified correctly: right without it, and not made wrong
            within `epsilon` (at any distance, if that is None). After a corruption, which is no attack and
            has no norm, simply those that are right.
        accuracy: correct / n, in [0, 1]; NaN if the row failed.
        lower: Lower end of the 95 percent Wilson interval of the accuracy.
        upper: Upper end of it.
        median_distance: Median over images of the distance to misclassification: 0 for an image that is wrong
            anyway, infinity where the attack fails.
        status: "ok"; "no gradient: ..." where the attack had nothing to follow on some images, so that the
            accuracy says little; "unfinished: ..." where images are still to be attacked, and those attacked
            until now were counted; "error: ..." where it could not be run.
        num_attacked: Images that were attacked: not those that were wrong anyway, or down already.
        winners: Where the attack went through several stand-ins, how many images each of them brought down
            within the budget, the nearest one counting; else empty.
    """

    system: str
    attack: str
    key: str
    spec: str
    norm: str
    epsilon: float | None
    threat_model: str
    n: int
    correct: int
    accuracy: float
    lower: float
    upper: float
    median_distance: float
    status: str
    num_attacked: int = 0
    winners: dict[str, int] = field(default_factory=dict, hash=False)

    @property
    def is_error(self) -> bool:
        """Whether the row has no result."""
        return self.status.startswith("error")

    @property
    def is_whole(self) -> bool:
        """Whether it has a result for every image."""
        return not self.is_error and not self.status.startswith(UNFINISHED)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorstCase:
    """One system against all attacks of a threat model and norm at once: an image counts if it survives each.

    Attributes:
        system: Name of what was evaluated.
        threat_model: That of the attacks.
        norm: That of the attacks.
        attacks: Labels of the attacks taken together.
        left_out: Labels of attacks that failed with an error or are unfinished: the worst case may be worse.
        n: Images.
        correct: Images classified correctly clean and after every attack.
        accuracy: correct / n, in [0, 1]; NaN if every attack failed with an error.
        lower: Lower end of the 95 percent Wilson interval of the accuracy.
        upper: Upper end of it.
        median_distance: Median over images of the smallest distance to misclassification.
    """

    system: str
    threat_model: str
    norm: str
    attacks: tuple[str, ...]
    left_out: tuple[str, ...]
    n: int
    correct: int
    accuracy: float
    lower: float
    upper: float
    median_distance: float


@dataclass(frozen=True, slots=True)
class Count:
    """How many of the images stand, with an interval."""

    n: int
    correct: int
    accuracy: float
    lower: float
    upper: float
    median_distance: float


def count_standing(is_standing: NDArray[np.bool_], distance: NDArray[np.float64]) -> Count:
    """Count the images that stand.

    Args:
        is_standing: (image,); empty if there is no result.
        distance: Distance to misclassification of each image, (image,).

    Returns:
        The counts; without images an accuracy of NaN and an interval from 0 to 1.
    """
    n, correct = len(is_standing), int(is_standing.sum())
    lower, upper = wilson_interval(correct, n)
    return Count(
        n=n,
        correct=correct,
        accuracy=correct / n if n else float("nan"),
        lower=lower,
        upper=upper,
        median_distance=median_distance(distance),
    )
