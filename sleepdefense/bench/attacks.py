"""What each attack costs, and what it finds, on one network."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from sleepdefense.attacks.attack_spec import AttackSpec
from sleepdefense.attacks.build import AttackedBatch, attack_batch
from sleepdefense.attacks.catalogue import find_attack
from sleepdefense.attacks.distance import distances
from sleepdefense.attacks.gradient import loss_gradient
from sleepdefense.attacks.starting import StartingPool, make_pool
from sleepdefense.bench.clock import Progress
from sleepdefense.data.image_set import ImageSet
from sleepdefense.errors import ConfigError
from sleepdefense.evaluation.systems import logits_of
from sleepdefense.shapes import Images, Labels

_NUM_POOL = 512
_PASSES = 20
"""Times that a batch passes through the network to tell what a pass costs."""

DEAR = 9.0
"""Attacks that cost more seconds an image, by the catalogue, are reckoned from its counts of passes."""

SHORTENED = {"BrendelBethge": "steps", "Square": "queries"}
"""Dear attacks whose cost beside the passes matters, and which take a part of their steps instead."""
PART = 20
"""How much fewer."""
_HARMLESS = 1e-3
"""Share of the usual epsilon at which Square, which stops where it succeeds, does not succeed."""

MEASURED, RECKONED = "measured", "reckoned"


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
        how: "measured"; "a 20th, times 20", where a part of the steps was measured on two images; "reckoned"
            from the passes that the catalogue has counted, on images that withstand. The latter two found
            nothing that counts: accuracy and distance are NaN.
    """

    attack: str
    seconds: float
    forward: float
    backward: float
    accuracy: float
    distance: float
    how: str = MEASURED


@dataclass(frozen=True, slots=True)
class PassSeconds:
    """Processor seconds of one thread for one image in a batch: forward, and forward and backward."""

    forward: float
    both: float


def measure_attacks(
    specs: Sequence[AttackSpec],
    model: nn.Module,
    data: ImageSet,
    *,
    num_images: int,
    seed: int = 0,
    dear: bool = False,
    progress: Progress | None = None,
) -> tuple[AttackCost, ...]:
    """Attack the first images that a network gets right, once with each attack, in one batch.

    Attacks that foolbox compiles (BrendelBethge) attack one image beforehand, which is not counted. Dear
    attacks are not run: what they cost is reckoned from the passes that the catalogue has counted, or from a
    part of their steps.

    Args:
        specs: What to measure.
        model: The network, in evaluation mode, on the CPU.
        data: Images; those behind the ones under attack are the pool to start from.
        num_images: How many to attack, >= 1.
        seed: Of the random parts.
        dear: Measure dear attacks as they are too, which takes minutes an image.
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
    bench = _Bench(model=model, images=images, labels=labels, index=right, seed=seed, pool=pool)
    try:
        # the first attack of a process loads libraries
        bench.attack(find_attack("BIM"), 1)
        each = bench.pass_seconds()
        for number, spec in enumerate(specs):
            if progress is not None:
                progress(number, len(specs), spec.label)
            if spec.name == "BrendelBethge":
                bench.attack(spec.with_settings(steps=2), 1)
            if dear or (spec.seconds < DEAR and spec.name not in SHORTENED):
                costs.append(bench.measured(spec))
            elif spec.name in SHORTENED:
                costs.append(bench.shortened(spec))
            else:
                costs.append(reckoned(spec, each))
    finally:
        torch.set_num_threads(threads)
    return tuple(costs)


def reckoned(spec: AttackSpec, each: PassSeconds) -> AttackCost:
    """Reckon what an attack costs from its passes, as the catalogue has counted them.

    >>> spec = find_attack("L2:Boundary").with_settings(steps=25)
    >>> reckoned(spec, PassSeconds(forward=0.1, both=0.3)).seconds == 0.1 * spec.forward
    True
    """
    forward_alone = max(0, spec.forward - spec.backward)
    return AttackCost(
        attack=str(spec),
        seconds=forward_alone * each.forward + spec.backward * each.both,
        forward=spec.forward,
        backward=spec.backward,
        accuracy=math.nan,
        distance=math.nan,
        how=RECKONED,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bench:
    """The network and the images under attack."""

    model: nn.Module
    images: Images
    labels: Labels
    index: Labels
    seed: int
    pool: StartingPool | None

    def attack(self, spec: AttackSpec, num_images: int) -> tuple[AttackedBatch, float]:
        """Attack the first images, and return the processor seconds of one image too."""
        part = slice(num_images)
        begin = time.process_time()
        batch = attack_batch(
            spec,
            self.model,
            self.images[part],
            self.labels[part],
            index=self.index[part],
            seed=self.seed,
            pool=self.pool,
        )
        return batch, (time.process_time() - begin) / num_images

    def pass_seconds(self) -> PassSeconds:
        """Time some passes of the whole batch."""
        num_passes = _PASSES * len(self.images)
        begin = time.process_time()
        for _ in range(_PASSES):
            logits_of(self.model, self.images)
        between = time.process_time()
        for _ in range(_PASSES):
            loss_gradient(self.model, self.images, self.labels)
        end = time.process_time()
        return PassSeconds((between - begin) / num_passes, (end - between) / num_passes)

    def measured(self, spec: AttackSpec) -> AttackCost:
        """Measure an attack as it is."""
        num_images = len(self.images)
        batch, seconds = self.attack(spec, num_images)
        distance = distances(self.images, batch.images, spec.norm)
        found = logits_of(self.model, batch.images).argmax(1) != self.labels
        distance = torch.where(found, distance, torch.inf)
        limit = torch.inf if spec.epsilon is None else spec.epsilon * (1 + 1e-5) + 2.0**-23
        return AttackCost(
            attack=str(spec),
            seconds=seconds,
            forward=batch.forward / num_images,
            backward=batch.backward / num_images,
            accuracy=float(((distance > limit) | ~found).double().mean()),
            distance=float(distance.quantile(0.5, interpolation="lower")),
        )

    def shortened(self, spec: AttackSpec) -> AttackCost:
        """Measure a part of the steps of an attack, on two images."""
        setting = SHORTENED[spec.name]
        part = spec.with_settings(**{setting: max(2, int(spec.number(setting)) // PART)})
        factor = spec.number(setting) / part.number(setting)
        if spec.epsilon is not None and not spec.minimises:
            part = part.with_settings(epsilon=_HARMLESS * spec.epsilon)
        num_images = min(2, len(self.images))
        batch, seconds = self.attack(part, num_images)
        return AttackCost(
            attack=str(spec),
            seconds=factor * seconds,
            forward=factor * batch.forward / num_images,
            backward=factor * batch.backward / num_images,
            accuracy=math.nan,
            distance=math.nan,
            how=f"a {PART}th, times {PART}",
        )
