"""Choose the images on which a system is examined."""

from collections.abc import Mapping

import torch

from sleepdefense.data.image_set import ImageSet
from sleepdefense.evaluation.checks.config import CheckConfig
from sleepdefense.evaluation.checks.metering import Meter, metered
from sleepdefense.evaluation.checks.subject import Subject, own_randomness
from sleepdefense.evaluation.systems import Model, System, logits_of


def make_subject(
    system: System, data: ImageSet, config: CheckConfig, *, seed: int, donors: Mapping[str, Model]
) -> Subject:
    """Choose the images on which a system is examined: the first that all of its parts classify correctly.

    Args:
        system: What to examine.
        data: Images and true labels.
        config: How many images to take.
        seed: Source of all randomness.
        donors: Other systems' parts, whose adversarial images are tried on this one.

    Returns:
        The system with its images; fewer than asked for, and maybe none, where too few are classified
        correctly.

    Raises:
        EvaluationError: The system gives no finite logits.
    """
    meter = Meter()
    parts = {id(model): metered(model, meter) for model in (system.model, *system.surfaces.values())}
    chosen: list[int] = []
    for first in range(0, len(data), config.batch_size):
        part = data.part(first, min(len(data), first + config.batch_size))
        is_right = torch.ones(len(part), dtype=torch.bool)
        for model in parts.values():
            with own_randomness(seed, "logits 0"):
                is_right &= logits_of(model, part.images).argmax(1).cpu() == part.labels.cpu()
        chosen += (first + torch.nonzero(is_right).flatten()).tolist()
        if len(chosen) >= config.num_images:
            break
    index = torch.tensor(chosen[: config.num_images], dtype=torch.int64)
    return Subject(
        system=system,
        config=config,
        seed=seed,
        images=data.images[index].cpu(),
        labels=data.labels[index].cpu(),
        index=index,
        num_classes=data.num_classes,
        donors=donors,
        meter=meter,
    )
