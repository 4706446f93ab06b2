"""From a checkpoint to a robustness table."""

from pathlib import Path

from torch import nn

from sleepdefense.checkpoint import load_checkpoint
from sleepdefense.conversion.saving import network_from_checkpoint
from sleepdefense.data import ImageSet, load_data
from sleepdefense.errors import ConfigError
from sleepdefense.evaluation import RobustnessTable, evaluate, results_so_far
from sleepdefense.evaluation.estimate import Estimate, estimate_costs
from sleepdefense.evaluation.runner import AbstractRunner
from sleepdefense.evaluation.seen_as import SeenAs
from sleepdefense.evaluation.spiking_system import SpikingSystem
from sleepdefense.evaluation.systems import make_system
from sleepdefense.models import AbstractPurifier, Binarised, Purified, awake_from_file
from sleepdefense.models.awake_file import is_published
from sleepdefense.pipeline.context import Progress, fixed_arithmetic
from sleepdefense.spiking import SpikingNetwork

ALL_MODELS = "all"
SPIKING_STEPS = 64
"""Steps of a spiking network that is evaluated."""


def system_from_files(
    checkpoint: Path,
    *,
    classifier: Path | None = None,
    threat_model: str = ALL_MODELS,
    num_steps: int = SPIKING_STEPS,
    binarise: float | None = None,
) -> nn.Module:
    """Put together what is evaluated.

    Args:
        checkpoint: Of kind "awake" or "spiking", or a published weight file.
        classifier: For a purifier: what classifies its images.
        threat_model: "all", or the one in which gradients are followed.
        num_steps: Steps of a spiking network, with the images as constant currents.
        binarise: Let the classifier see in black and white, with this intensity and above as white; None:
            as it is.

    Returns:
        The system, in evaluation mode.

    Raises:
        ConfigError: A purifier without classifier, a classifier with one, a threat model that the system
            does not have, or a spiking classifier that is to be binarised.
        CheckpointError: A file is damaged or of another kind.
    """
    spiking = _spiking_network(checkpoint)
    model = awake_from_file(checkpoint) if spiking is None else spiking.awake
    name = getattr(model, "name", type(model).__name__)
    behind: nn.Module | None = None
    if isinstance(model, AbstractPurifier):
        if classifier is None:
            raise ConfigError(
                f"'{checkpoint}' holds a purifier ({name}), which classifies nothing: add --classifier"
            )
        behind = awake_from_file(classifier)
    elif classifier is not None:
        raise ConfigError(f"'{checkpoint}' holds a classifier ({name}): leave out --classifier")
    system: nn.Module = model
    if binarise is not None:
        if behind is not None:
            behind = Binarised(behind, binarise)
        elif spiking is None:
            system = Binarised(model, binarise)
        else:
            raise ConfigError(f"'{checkpoint}' holds a spiking classifier, whose images are not binarised")
    if spiking is not None:
        system = SpikingSystem(spiking, behind, num_steps=num_steps)
    elif behind is not None:
        system = Purified(model, behind)
    if threat_model == ALL_MODELS:
        return system
    surfaces = make_system(checkpoint.stem, system).surfaces
    surface = surfaces.get(threat_model)
    if surface is None or not isinstance(surface, nn.Module):
        raise ConfigError(
            f"'{checkpoint}' ({name}) has no threat model '{threat_model}': it has {', '.join(surfaces)}"
        )
    return SeenAs(system, threat_model, surface)


def _spiking_network(checkpoint: Path) -> SpikingNetwork | None:
    """Return the spiking network in a file; None if it holds something else."""
    if is_published(checkpoint):
        return None
    found = load_checkpoint(checkpoint)
    return network_from_checkpoint(found) if found.kind == "spiking" else None


def evaluation_data(data_name: str, *, data_dir: Path | None, limit: int | None) -> ImageSet:
    """Return the test images, the first `limit` of them."""
    _, test = load_data(data_name, data_dir=data_dir, limit=1, test_limit=limit)
    return test


@fixed_arithmetic()
def estimate_step(
    system: nn.Module,
    test: ImageSet,
    attacks: str,
    *,
    name: str,
    out: Path | None,
    batch_size: int,
    seed: int,
    cascade: bool,
    checks: bool,
    resume: bool,
) -> tuple[Estimate, ...]:
    """Tell what is left for `evaluate_step` to do in `out`; see `estimate_costs`."""
    goes_on = out is not None and (resume or not out.exists())
    return estimate_costs(
        {name: system},
        test,
        attacks,
        resume=out if goes_on else None,
        batch_size=batch_size,
        seed=seed,
        cascade=cascade,
        checks=checks,
    )


@fixed_arithmetic()
def so_far_step(
    system: nn.Module,
    test: ImageSet,
    attacks: str,
    *,
    name: str,
    out: Path,
    batch_size: int,
    seed: int,
    cascade: bool,
    checks: bool,
    note: str,
) -> RobustnessTable:
    """Show what `evaluate_step` has finished in `out`, whoever is at work on it; see `results_so_far`."""
    return results_so_far(
        {name: system},
        test,
        attacks,
        resume=out,
        batch_size=batch_size,
        seed=seed,
        cascade=cascade,
        checks=checks,
        note=note,
    )


@fixed_arithmetic()
def evaluate_step(
    system: nn.Module,
    test: ImageSet,
    attacks: str,
    *,
    name: str,
    out: Path | None = None,
    batch_size: int = 250,
    seed: int = 0,
    cascade: bool = False,
    checks: bool = True,
    max_seconds: float | None = None,
    note: str = "",
    resume: bool = False,
    force: bool = False,
    progress: Progress | None = None,
    runner: AbstractRunner | None = None,
) -> RobustnessTable:
    """Attack a system on test images.

    Args:
        system: What `system_from_files` returns.
        test: Images and labels.
        attacks: Names with commas between, or a profile.
        name: What the table calls the system.
        out: File for the results; None keeps them in memory only.
        batch_size: Images attacked at once.
        seed: Of the random parts.
        cascade: Spare attacks the images that are down already.
        checks: Look for signs of masked gradients.
        max_seconds: Stop after this time; what is finished is kept.
        note: What a reader must know of the scale.
        resume: Go on from `out`.
        force: Overwrite `out`.
        progress: Told after every batch.
        runner: Who does the work; by default this process.

    Returns:
        The table.

    Raises:
        ConfigError: `out` exists, or a setting is out of range.
        CheckpointError: A file is damaged or of another kind.
        UnfinishedError: Time is up.
    """
    if out is not None and out.exists() and not resume:
        if not force:
            raise ConfigError(f"'{out}' exists: go on with --resume, or start anew with --force")
        out.unlink()
    return evaluate(
        system,
        test,
        attacks,
        seed=seed,
        batch_size=batch_size,
        cascade=cascade,
        checks=checks,
        max_seconds=max_seconds,
        resume=out,
        name=name,
        note=note,
        progress=progress,
        runner=runner,
    )
