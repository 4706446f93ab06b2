"""S4, S5: what an attack without gradients breaks, the attack with gradients breaks too."""

import numpy as np
import torch

from sleepdefense.attacks.noise import normal_noise, sign_noise, uniform_noise
from sleepdefense.evaluation.checks.arms import iterated, query_attack, single_step
from sleepdefense.evaluation.checks.finding import Verdict, percent, skipped, tolerance
from sleepdefense.evaluation.checks.subject import QUERY, Mask, Subject
from sleepdefense.shapes import Images


def broken_by_strong(subject: Subject) -> Mask:
    """Return W: where an attack that knows the whole system fools it within the budget, (image,).

    Raises:
        EvaluationError: No surface that knows the whole system can be attacked.
    """
    broken = np.zeros(subject.num_images, bool)
    for spec in (single_step(subject.config), iterated(subject.config)):
        for outcome in subject.attack_strongly(spec):
            broken |= outcome.fools_system
    if not broken.all():
        spec = iterated(subject.config, steps=2 * subject.config.steps)
        for outcome in subject.attack_strongly(spec, among=~broken):
            broken = broken | outcome.fools_system
    return broken


def check_white_beats_black(subject: Subject, _threat_model: str) -> Verdict:
    """Check S4: no attack that knows less breaks what the gradient attacks leave.

        share of images broken by queries, transfer or noise, and not in W > d

    W is broken by single and iterated steps through every surface that knows the whole system. Transferred
    are the images made on the system's other surfaces and on the other systems. Only images outside W are
    tried, so a system that does not stand is cheap.

    Args:
        subject: What is examined.

    Returns:
        The verdict.

    Source:
        Carlini et al. 2019, checklist; AutoAttack flags 0.2 points won by Square.
    """
    if not subject.strong:
        return skipped("No attack goes through the whole system: there is nothing to compare with.")
    standing = ~broken_by_strong(subject)
    limit = tolerance(subject.num_images)
    if not standing.any():
        return Verdict(
            status="passed", value=0.0, limit=limit, sentence="The attacks with gradients break every image."
        )
    wins: dict[str, Mask] = {
        "queries": subject.attack(QUERY, query_attack(subject.config), among=standing).fools_system,
        "noise": broken_by_noise(subject, standing, subject.config.num_noise_points),
    }
    for donor in (*subject.weak, *subject.donors):
        outcome = subject.transfer(donor, iterated(subject.config), among=standing)
        if outcome is not None:
            wins[f"transfer from '{donor}'"] = outcome.fools_system
    share = float(np.any(list(wins.values()), axis=0).mean())
    counts = ", ".join(f"{name} {percent(won.mean())}" for name, won in wins.items())
    if share <= limit:
        return Verdict(
            status="passed",
            value=share,
            limit=limit,
            sentence=f"Attacks that know less break little that gradients do not: {counts}.",
        )
    return Verdict(
        status="failed",
        value=share,
        limit=limit,
        sentence=f"Attacks that know less break {percent(share)} that those with gradients do not: {counts}.",
        advice="The gradients are masked: count the worst case over all attacks, and attack adaptively.",
    )


def check_random_search(subject: Subject, _threat_model: str) -> Verdict:
    """Check S5: blind luck finds nothing that the gradient attacks miss.

        number of images outside W with a wrong one among 10 000 random points of the budget > 0

    Half of the points are corners of the ball (in L2: its surface), half are spread over it.

    Args:
        subject: What is examined.

    Returns:
        The verdict.

    Source:
        Carlini et al. 2019, checklist (brute-force search).
    """
    if not subject.strong:
        return skipped("No attack goes through the whole system: there is nothing to compare with.")
    standing = ~broken_by_strong(subject)
    number = subject.config.num_random_points
    if not standing.any():
        return Verdict(
            status="passed", value=0.0, limit=0.0, sentence="The attacks with gradients break every image."
        )
    share = float(broken_by_noise(subject, standing, number).mean())
    if not share:
        return Verdict(
            status="passed",
            value=0.0,
            limit=0.0,
            sentence=f"{number} random points around each of {standing.sum()} images find nothing.",
        )
    return Verdict(
        status="failed",
        value=share,
        limit=0.0,
        sentence=f"Random search breaks {percent(share)} of the images, which the gradient attacks did not.",
        advice="The gradient attacks are worse than blind: see G1 to G4, and use attacks without gradients.",
    )


def broken_by_noise(subject: Subject, among: Mask, num_points: int) -> Mask:
    """Tell which images have a misclassified one among random points of the budget.

    The points of an image depend on the seed, its index and their number alone. An image is left alone as
    soon as one is found, and no more points are held at once than a batch.

    Args:
        subject: What is examined.
        among: Which images to try, (image,).
        num_points: Points around each.
    """
    broken = np.zeros(subject.num_images, bool)
    for point in range(0, num_points, subject.config.batch_size):
        rows = np.flatnonzero(among & ~broken)
        last = min(num_points, point + subject.config.batch_size)
        for row in rows:
            images = random_points(subject, int(row), np.arange(point, last))
            predicted = subject.logits(subject.system.model, images).argmax(1)
            broken[row] = bool((predicted != subject.labels[row]).any())
    return broken


def random_points(subject: Subject, row: int, points: np.ndarray) -> Images:
    """Return some of the random points around an image, (point, channel, height, width), in [0, 1]."""
    image, epsilon = subject.images[row], subject.config.epsilon
    shape = tuple(image.shape)
    stream = f"check/points/{int(subject.index[row])}"
    if subject.config.norm == "Linf":
        inside = 2 * uniform_noise(points, shape, seed=subject.seed, stream=stream) - 1
        outside = sign_noise(points, shape, seed=subject.seed, stream=stream)
    else:
        normal = normal_noise(points, shape, seed=subject.seed, stream=stream)
        outside = normal / normal.flatten(1).norm(dim=1)[:, None, None, None]
        radius = uniform_noise(points, (1, 1, 1), seed=subject.seed, stream=f"{stream}/radius")
        inside = outside * radius ** (1 / image.numel())
    is_even = torch.from_numpy(points % 2 == 0)[:, None, None, None]
    return (image + epsilon * torch.where(is_even, outside, inside)).clamp(0, 1)
