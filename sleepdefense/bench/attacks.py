"""What each attack costs, and what it finds, on one network."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from sleepdefense.attacks.attack_spec import AttackSpec
from sleepdefense.attacks.build import attack_batch
from sleepdefense.attacks.catalogue import find_attack
from sleepdefense.attacks.distance import distances
from sleepdefense.attacks.starting import make_pool
from sleepdefense.bench.clock import Progress
from sleepdefense.data.image_set import ImageSet
from sleepdefense.errors import ConfigError
from sleepdefense.evaluation.systems import logits_of

_NUM_POOL = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackCost:
    """One attack on some images that the network gets right.

    Attributes:
        attack: Its text.
        seconds: Processor seconds of one thread for each image.
        forward: Images shown to the network for each image.
        backward: Gradients taken for each image.
        accuracy: Share of the images for which nothing was found within epsilon, in [0, 1].
        distance: Median distance of what was found, in the attack's norm; infinite where it was not.
    """

    attack: str
    seconds: float
    forward: float
    backward: float
    accuracy: float
    distance: float


def measure_attacks(
    specs: Sequence[AttackSpec],
    model: nn.Module,
    data: ImageSet,
    *,
    num_images: int,
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[AttackCost, ...]:
    """Attack the first images that a network gets right, once with each attack, in one batch.

    Attacks that foolbox compiles (BrendelBethge) attack one image beforehand, which is not counted.

    Args:
        specs: What to measure.
        model: The network, in evaluation mode, on the CPU.
        data: Images; those behind the ones under attack are the pool to start from.
        num_images: How many to attack, >= 1.
        seed: Of the random parts.
        progress: Told before every attack.

    Returns:
        One measurement for each attack.

    Raises:
        ConfigError: The network gets too few of the images right.
        EvaluationError: An attack fails.
    """
    seen = data.take(min(len(data), 2 * num_images + _NUM_POOL))
    right = (logits_of(model, seen.images).argmax(1) == seen.labels).nonzero().flatten()[:num_images]
    if not 0 < num_images == len(right):
        raise ConfigError(f"wanted {num_images} images that the network gets right, found {len(right)}")
    images, labels = seen.images[right], seen.labels[right]
    pool = make_pool(model, seen.images[int(right[-1]) + 1 :]) if int(right[-1]) + 1 < len(seen) else None
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    costs = []
    try:
        # the first attack of a process loads libraries
        attack_batch(find_attack("BIM"), model, images[:1], labels[:1], index=right[:1], seed=seed)
        for number, spec in enumerate(specs):
            if progress is not None:
                progress(number, len(specs), spec.label)
            if spec.name == "BrendelBethge":
                attack_batch(
                    spec.with_settings(steps=2),
                    model,
                    images[:1],
                    labels[:1],
                    index=right[:1],
                    seed=seed,
                    pool=pool,
                )
            begin = time.process_time()
            batch = attack_batch(spec, model, images, labels, index=right, seed=seed, pool=pool)
            seconds = time.process_time() - begin
            distance = distances(images, batch.images, spec.norm)
            found = logits_of(model, batch.images).argmax(1) != labels
            distance = torch.where(found, distance, torch.inf)
            limit = torch.inf if spec.epsilon is None else spec.epsilon * (1 + 1e-5) + 2.0**-23
            costs.append(
                AttackCost(
                    attack=str(spec),
                    seconds=seconds / num_images,
                    forward=batch.forward / num_images,
                    backward=batch.backward / num_images,
                    accuracy=float(((distance > limit) | ~found).double().mean()),
                    distance=float(distance.quantile(0.5, interpolation="lower")),
                )
            )
    finally:
        torch.set_num_threads(threads)
    return tuple(costs)
