"""T3: an attack finds a weakness that is known to be there."""

import torch

from sleepdefense.attacks.any_of import AnyOf
from sleepdefense.attacks.build import attack_batch
from sleepdefense.errors import EvaluationError
from sleepdefense.evaluation.checks.arms import iterated
from sleepdefense.evaluation.checks.black_box import random_points
from sleepdefense.evaluation.checks.finding import Verdict, percent, skipped
from sleepdefense.evaluation.checks.planting import Features, Plant, plant
from sleepdefense.evaluation.checks.subject import STRONG, Subject, own_randomness
from sleepdefense.evaluation.systems import device_of, logits_of

SMALLEST_SHARE = 0.95
"""Of the weaknesses that the attack must find. Source: Zimmermann et al. 2022; robustness checklist, T3."""

LARGEST_LUCK = 0.5
"""Share that random points may find: above, the weakness is too large to tell a good attack by."""

_NUM_RANDOM = 100  # points around each image


def check_planted_weakness(subject: Subject, threat_model: str) -> Verdict | None:
    """Check T3: plant an adversarial image around each image, and see whether the attack finds one.

        found = share of images with a weakness planted at which the attack reaches the planted class
        found > 0.95 must hold, where 100 random points find no more than half

    What is attacked has the system's own features and a read-out of ours, so that a net without a weakness
    gets one as well: that an attack fails here is the attack's fault, or the mask's. A mask after the last
    layer with weights is replaced together with that layer; G3 looks there.

    Args:
        subject: What is examined.
        threat_model: Which surface.

    Returns:
        The verdict; None for surfaces that do not know the whole system.

    Source:
        Zimmermann et al. 2022; see `planting`.
    """
    if threat_model not in STRONG:
        return None
    surface = subject.surface(threat_model)
    if isinstance(surface, AnyOf):
        return skipped("The surface stands for several networks: no weakness can be planted in all at once.")
    first, second = (subject.logits(surface, subject.images[:2], draw=draw) for draw in (0, 1))
    if not torch.equal(first, second):
        return skipped("The model answers at random, so no image can be known to be adversarial (see G4).")
    features = Features(surface, subject.images[:1], fewest=4 * subject.config.num_inner_points)
    found, lucky, planted = 0, 0, 0
    for row in range(min(subject.config.num_planted, subject.num_images)):
        weak = plant(subject, features, row)
        if weak is None or not _is_there(weak, subject, row):
            continue
        planted += 1
        found += _finds(weak, subject, row)
        lucky += _chance_finds(weak, subject, row)
    tried = min(subject.config.num_planted, subject.num_images)
    if 2 * planted < tried:
        return skipped(
            f"A weakness could be planted around {planted} of {tried} images only: the features hardly tell "
            "neighbouring images apart."
        )
    share, luck = found / planted, lucky / planted
    words = f"the attack finds {found} of {planted} planted weaknesses, random points find {lucky}"
    if luck > LARGEST_LUCK:
        return skipped(f"The planted weaknesses are too easy to find to tell: {words}.")
    if share > SMALLEST_SHARE:
        return Verdict(
            status="passed", value=share, limit=SMALLEST_SHARE, sentence=f"It finds what is there: {words}."
        )
    return Verdict(
        status="failed",
        value=share,
        limit=SMALLEST_SHARE,
        sentence=f"The attack misses weaknesses that are there ({percent(1 - share)}): {words}.",
        advice=(
            "That it fails on the system itself says nothing either. Use an attack that passes: more steps, "
            "another loss, a stand-in for what masks the gradient, or none at all."
        ),
    )


def _is_there(weak: Plant, subject: Subject, row: int) -> bool:
    """Make sure that the image is of class 0 and the planted one of class 1."""
    both = torch.cat([subject.images[row : row + 1], weak.image])
    return logits_of(weak.model, both).argmax(1).tolist() == [0, 1]


def _finds(weak: Plant, subject: Subject, row: int) -> bool:
    """Attack the model with the planted weakness."""
    device = device_of(weak.model)
    spec = iterated(subject.config)
    for steps in (subject.config.steps, 2 * subject.config.steps):
        try:
            with own_randomness(subject.seed, "planted"):
                outcome = attack_batch(
                    spec.with_settings(steps=steps),
                    weak.model,
                    subject.images[row : row + 1].to(device),
                    torch.zeros(1, dtype=torch.int64, device=device),
                    index=subject.index[row : row + 1],
                    seed=subject.seed,
                )
        except EvaluationError:
            return False  # no gradient, or one that is not finite: what is there is not found
        subject.meter.backward += outcome.backward
        if bool(logits_of(weak.model, outcome.images.cpu()).argmax(1) == 1):
            return True
    return False


def _chance_finds(weak: Plant, subject: Subject, row: int) -> bool:
    """Try random points that were not used for planting."""
    first = subject.config.num_inner_points + 1
    points = torch.arange(first, first + _NUM_RANDOM).numpy()
    for part in random_points(subject, row, points).split(subject.config.batch_size):
        if bool((logits_of(weak.model, part).argmax(1) == 1).any()):
            return True
    return False
