"""What can be evaluated, and what is checked before any work begins."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from sleepdefense.attacks.fingerprint import module_digest
from sleepdefense.attacks.gradient import evaluation_mode
from sleepdefense.data.image_set import ImageSet
from sleepdefense.errors import EvaluationError
from sleepdefense.evaluation.surfaces import OBLIVIOUS as OBLIVIOUS
from sleepdefense.evaluation.surfaces import WHITE_BOX as WHITE_BOX
from sleepdefense.evaluation.surfaces import find_surfaces
from sleepdefense.shapes import Images, Logits

Model = Callable[[Images], Logits]
_NUM_PROBED = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """Something that classifies images, and the ways in which an attack may see it.

    Attributes:
        name: How tables call it.
        model: Gives logits: what every attacked image is shown to.
        surfaces: For each threat model, the part that the gradient goes through.
    """

    name: str
    model: Model
    surfaces: Mapping[str, Model]


def make_system(name: str, model: Model) -> System:
    """Ask a model for its attack surfaces, or find them: see `find_surfaces`.

    Raises:
        EvaluationError: `attack_surfaces` gives no mapping from threat models to callables.
    """
    surfaces = find_surfaces(model)
    if not isinstance(surfaces, Mapping) or not surfaces or not all(map(callable, surfaces.values())):
        raise EvaluationError(
            f"system '{name}': attack_surfaces() must map threat models to modules, got {surfaces!r}"
        )
    return System(name=name, model=model, surfaces=dict(surfaces))


def fingerprint(system: System) -> dict[str, str | None]:
    """Return digests of a system's model and surfaces; None for a callable, whose content cannot be seen."""
    parts = {"model": system.model, **system.surfaces}
    return {
        role: module_digest(part) if isinstance(part, nn.Module) else None for role, part in parts.items()
    }


def check_resumable(systems: Sequence[System]) -> None:
    """Refuse systems that cannot be told from others, and whose unfinished work could thus be mixed up.

    Raises:
        EvaluationError: A part is no torch module.
    """
    for system in systems:
        for role, part in {"model": system.model, **system.surfaces}.items():
            if not isinstance(part, nn.Module):
                raise EvaluationError(
                    f"system '{system.name}': its {role} is a {type(part).__name__}, and only a torch module "
                    "can be told from another one. Wrap it in a module, or do without 'resume'"
                )


def device_of(model: Model) -> torch.device:
    """Return where a model lives: with its first weight, else on the CPU."""
    if isinstance(model, nn.Module):
        for weight in model.parameters():
            return weight.device
    return torch.device("cpu")


def logits_of(model: Model, images: Images) -> Logits:
    """Show images to a model in evaluation mode.

    Raises:
        EvaluationError: What comes back is no batch of finite logits.
    """
    with evaluation_mode(model), torch.no_grad():
        logits = model(images.to(device_of(model)))
    if logits.ndim != 2 or len(logits) != len(images):
        raise EvaluationError(
            f"a model must give one row of logits for each image: for {len(images)} images it gave "
            f"the shape {tuple(logits.shape)}"
        )
    if not bool(logits.isfinite().all()):
        bad = int((~logits.isfinite().all(1)).sum())
        raise EvaluationError(f"the logits of {bad} of {len(images)} images are not finite")
    return logits


def check_system(system: System, data: ImageSet) -> None:
    """Show a few images to a system, and refuse one whose output is not logits.

    Raises:
        EvaluationError: It does not give finite logits for every class, or gives probabilities.
    """
    try:
        logits = logits_of(system.model, data.images[:_NUM_PROBED])
    except EvaluationError as error:
        raise EvaluationError(f"system '{system.name}': {error}") from error
    if logits.shape[1] < data.num_classes:
        raise EvaluationError(
            f"system '{system.name}' knows {logits.shape[1]} classes: '{data.name}' has {data.num_classes}"
        )
    sums_to_one = bool(((logits.double().sum(1) - 1.0).abs() < 1e-4).all())
    if sums_to_one and bool(((logits >= 0) & (logits <= 1)).all()):
        raise EvaluationError(
            f"system '{system.name}' gives probabilities, not logits: their gradients vanish, and it would "
            "look robust without being so. Leave out the softmax"
        )
