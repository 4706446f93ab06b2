"""The networks of the paper, trained or adopted from published weights, each once in the folder of a job."""

import os
from pathlib import Path

from torch import nn

from sleepdefense.config import ModelConfig
from sleepdefense.data import ImageSet, load_data
from sleepdefense.data.locate import DATA_VARIABLE
from sleepdefense.errors import ConfigError
from sleepdefense.models import AbstractAwakeModel, build_model
from sleepdefense.models.dim import DIM
from sleepdefense.models.public_weights import load_public_weights, load_published_abs
from sleepdefense.models.synthesis import ABS
from sleepdefense.papers.dim2022.scales import PLANS, Plan, Schedule
from sleepdefense.papers.recipe import Job
from sleepdefense.pipeline import adversarial_step, train_step

DIM_FAMILY = {"DIM": "dim", "IM": "im", "singleIM": "single-im", "Dn-singleIM": "dn-single-im"}
"""Column of the paper -> name of the model."""

BINARY = ("biCNN", "biABS", "biDIM")
_PUBLISHED = "abs"


def plan_of(job: Job) -> Plan:
    """Return how much of everything the scale of a job takes."""
    return PLANS[job.scale]


def data_of(job: Job) -> tuple[ImageSet, ImageSet]:
    """Return training and test images."""
    return load_data(job.dataset, data_dir=job.data_dir, limit=plan_of(job).train_images)


def build_system(job: Job, column: str, *, seed: int, schedule: Schedule | None = None) -> nn.Module:
    """Return the network of a column; what an earlier run finished is used.

    Args:
        job: Where and at which scale.
        column: As the paper calls it.
        seed: Of the training.
        schedule: How long internal models and denoisers learn; None: as the scale says.

    Returns:
        The network, in evaluation mode.

    Raises:
        ConfigError: The paper has no such network.
    """
    plan = plan_of(job)
    if column in DIM_FAMILY:
        return _family(job, column, seed, schedule)
    if column == "biDIM":
        model = build_system(job, "DIM", seed=seed, schedule=schedule)
        assert isinstance(model, DIM)
        return model.rebuilt(binary=True)
    if column in ("ABS", "biABS"):
        return _synthesis(job, binary=column == "biABS", seed=seed)
    if column in ("CNN", "biCNN"):
        return _cnn(job, binary=column == "biCNN", seed=seed)
    if column == "Madry":
        config = ModelConfig(
            model="madry",
            settings=dict(plan.madry),
            epochs=plan.madry_epochs,
            batch_size=50,
            learning_rate=1e-4 if job.scale == "paper" else 1e-3,
        )
        train, _ = data_of(job)
        return adversarial_step(
            config,
            train,
            job.folder / f"madry-{seed}.h5",
            job.context,
            seed=seed,
            adversarial=plan.adversarial,
        )
    raise ConfigError(f"the paper has no network '{column}'")


def network_file(job: Job, column: str, seed: int, *, schedule: Schedule | None = None) -> Path:
    """Return where `build_system` keeps a network of the family that it has trained."""
    how_long = f"-{schedule.images}x{schedule.epochs}" if schedule else ""
    return job.folder / f"{DIM_FAMILY[column]}{how_long}-{seed}.h5"


def _family(job: Job, column: str, seed: int, schedule: Schedule | None) -> AbstractAwakeModel:
    plan, (train, _) = plan_of(job), data_of(job)
    config = ModelConfig(
        model=DIM_FAMILY[column],
        settings=dict(plan.dim),
        epochs=schedule.epochs if schedule else plan.epochs,
        batch_size=schedule.batch_size if schedule else plan.batch_size,
    )
    return train_step(
        config,
        train.take(min(schedule.images, len(train))) if schedule else train,
        network_file(job, column, seed, schedule=schedule),
        job.context,
        seed=seed,
        device=job.context.device,
    ).eval()


def _trained(job: Job, config: ModelConfig, seed: int) -> AbstractAwakeModel:
    train, _ = data_of(job)
    return train_step(
        config,
        train,
        job.folder / f"{config.model}-{seed}.h5",
        job.context,
        seed=seed,
        device=job.context.device,
    ).eval()


def _synthesis(job: Job, *, binary: bool, seed: int) -> ABS:
    plan = plan_of(job)
    folder = _published(job)
    if folder is not None:
        return load_published_abs(folder, binary=binary).rebuilt(num_steps=plan.num_steps)
    config = ModelConfig(model="abs", settings=dict(plan.synthesis), epochs=plan.synthesis_epochs)
    model = _trained(job, config, seed)
    assert isinstance(model, ABS)
    return model.rebuilt(num_steps=plan.num_steps, binary=binary)


def _cnn(job: Job, *, binary: bool, seed: int) -> AbstractAwakeModel:
    folder = _published(job)
    if folder is not None:
        model: AbstractAwakeModel = load_public_weights(folder / "vanilla_cnn.net")
    else:
        plan = plan_of(job)
        config = ModelConfig(model="vanilla-cnn", settings=dict(plan.cnn), epochs=plan.cnn_epochs)
        model = _trained(job, config, seed)
    if not binary:
        return model
    other = build_model("binary-cnn", model.settings, seed=0)
    other.load_state_dict({f"network.{name}": value for name, value in model.state_dict().items()})
    return other.eval()


def _published(job: Job) -> Path | None:
    """Return the folder of the published weights, which are for MNIST; at the smoke scale they are left."""
    if job.dataset != "mnist" or job.scale == "smoke":
        return None
    named = job.data_dir or os.environ.get(DATA_VARIABLE)
    folder = Path(named).expanduser() / _PUBLISHED if named else None
    return folder if folder is not None and (folder / "vanilla_cnn.net").exists() else None
