"""Pairs for the awake phase: each training image and what the attacks made of it, made once and kept."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from sleepdefense.attacks.build import perturb
from sleepdefense.attacks.catalogue import AttackSpec
from sleepdefense.attacks.fingerprint import difference, module_digest, versions
from sleepdefense.attacks.noise import derive_seed
from sleepdefense.attacks.parse import parse_attacks
from sleepdefense.attacks.profiles import QUICK_TRAINING
from sleepdefense.attacks.starting import StartingPool, make_pool
from sleepdefense.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from sleepdefense.data.image_set import ImageSet
from sleepdefense.data.pairs import PairSet, to_8_bit
from sleepdefense.errors import ConfigError, DataError

Progress = Callable[[int, int, str], None]
"""Called with the number of finished batches, their total, and what was done last."""

_NUM_STARTS = 512


def adversarial_pairs(
    train: ImageSet,
    classifier: nn.Module,
    attacks: str | Sequence[str | AttackSpec] = QUICK_TRAINING,
    *,
    seed: int = 0,
    batch_size: int = 500,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> PairSet:
    """Attack every training image with every attack, through the classifier alone.

    The results are kept as 8-bit intensities, rounded to the nearest (255 stands for 1.0): a quarter of the
    memory, and a pixel is off by at most 1/510, which is 0.7 percent of the usual budget of 0.3.

    Gradient attacks use the true labels. Random numbers depend on `seed` and the image's place in `train`,
    never on `batch_size`, and are not those that `evaluate` draws from the same seed.

    Args:
        train: Images to attack, all of one size.
        classifier: Gives logits; its weights are left alone.
        attacks: What to run, one variant each, in this order.
        seed: Seed of the random parts.
        batch_size: Images attacked at once, >= 1.
        cache: A file for the result. If it holds the same work it is read and nothing is computed. While the
            work goes on, each finished variant is kept in a folder beside it, and an interrupted run goes on
            after the last one.
        progress: Told after every batch.

    Returns:
        The pairs: one variant for each attack, with the attack's text as its name.

    Raises:
        DataError: `cache`, or the folder of an interrupted run, holds pairs of other images, another
            classifier, other attacks or another seed.
        CheckpointError: `cache` is damaged or cannot be written.
        ConfigError: An attack is unknown, or `batch_size` is below 1.
        EvaluationError: An attack fails.
    """
    specs = parse_attacks(attacks)
    if batch_size < 1:
        raise ConfigError(f"batch_size must be >= 1, got {batch_size}")
    common = {"images": train.digest, "classifier": module_digest(classifier), "seed": seed}
    whole = {**common, "attacks": [spec.identity for spec in specs]}
    shape = tuple(train.images.shape)
    if cache is not None and cache.exists():
        return _pair_set(train, specs, _load(cache, whole, (len(specs), *shape)))
    parts = None if cache is None else cache.with_name(cache.name + ".parts")
    if parts is not None:
        parts.mkdir(parents=True, exist_ok=True)
    num_batches = -(-len(train) // batch_size)
    noisy = np.empty((len(specs), *shape), np.uint8)
    pool = _pool(classifier, train) if any(spec.needs_start for spec in specs) else None
    for number, spec in enumerate(specs):
        part = None if parts is None else parts / f"{spec.key}.h5"
        wanted = {**common, "attacks": [spec.identity]}
        report = _Report(progress, number * num_batches, len(specs) * num_batches)
        if part is not None and part.exists():
            noisy[number] = _load(part, wanted, (1, *shape))[0]
            report(num_batches, f"{spec.label} (kept)")
            continue
        for first in range(0, len(train), batch_size):
            last = min(len(train), first + batch_size)
            noisy[number, first:last] = _attack_part(spec, classifier, train, first, last, seed, pool)
            if last == len(train) and part is not None:
                _save(part, wanted, noisy[number : number + 1])
            report(first // batch_size + 1, spec.label)
    if cache is not None and parts is not None:
        _save(cache, whole, noisy)
        shutil.rmtree(parts, ignore_errors=True)
    return _pair_set(train, specs, noisy)


@dataclass(frozen=True, slots=True)
class _Report:
    """Counts the batches of one variant on top of those of the variants before it."""

    progress: Progress | None
    before: int
    total: int

    def __call__(self, done: int, label: str) -> None:
        if self.progress is not None:
            self.progress(self.before + done, self.total, label)


def _pool(classifier: nn.Module, train: ImageSet) -> StartingPool:
    """Take the first training images as a start for attacks that need one."""
    weight = next(classifier.parameters(), torch.empty(0))
    return make_pool(classifier, train.images[:_NUM_STARTS].to(weight.device))


def _attack_part(
    spec: AttackSpec,
    classifier: nn.Module,
    train: ImageSet,
    first: int,
    last: int,
    seed: int,
    pool: StartingPool | None,
) -> NDArray[np.uint8]:
    """Attack the images from `first` up to `last` and round them to 8 bits."""
    weight = next(classifier.parameters(), torch.empty(0))
    attacked = perturb(
        spec,
        classifier,
        train.images[first:last].to(weight.device),
        train.labels[first:last].to(weight.device),
        index=torch.arange(first, last),
        seed=derive_seed(seed, "pairs"),
        pool=pool,
    )
    return to_8_bit(attacked).cpu().numpy()


def _save(path: Path, fingerprint: dict[str, Any], noisy: NDArray[np.uint8]) -> None:
    """Keep attacked images together with what they were made from."""
    settings = {"fingerprint": fingerprint}
    save_checkpoint(
        path,
        Checkpoint(kind="pairs", arrays={"noisy": noisy}, settings=settings, provenance=versions()),
    )


def _load(path: Path, wanted: dict[str, Any], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Read attacked images, provided that they were made from what is wanted."""
    checkpoint = load_checkpoint(path, kind="pairs")
    found = checkpoint.settings.get("fingerprint")
    differs = difference(found, wanted) if isinstance(found, dict) else "an unknown origin"
    if differs is not None:
        raise DataError(f"'{path}' holds pairs of other work ({differs}). Give another cache, or delete it")
    noisy = checkpoint.arrays.get("noisy")
    if noisy is None or noisy.dtype != np.uint8 or noisy.shape != shape:
        raise DataError(f"'{path}' holds no array 'noisy' of 8-bit intensities that has the shape {shape}")
    return noisy


def _pair_set(train: ImageSet, specs: Sequence[AttackSpec], noisy: NDArray[np.uint8]) -> PairSet:
    """Put the attacked images beside the clean ones."""
    return PairSet(
        variants=tuple(str(spec) for spec in specs),
        noisy=torch.from_numpy(noisy),
        clean=train.images,
        labels=train.labels,
    )
