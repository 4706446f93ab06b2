"""The nine networks: three kinds, each trained plainly, on its own adversarial images, into saturation."""

from dataclasses import dataclass, replace
from pathlib import Path

from sleepdefense.data import ImageSet, load_data
from sleepdefense.models import AbstractClassifier, awake_from_file
from sleepdefense.models.base import AbstractAwakeModel
from sleepdefense.papers.nayebi2017.plan import EPSILON, NETWORKS, PLANS, Plan
from sleepdefense.papers.nayebi2017.schedules import network_plan
from sleepdefense.papers.recipe import Job
from sleepdefense.pipeline import adversarial_step, saturate_step, train_step
from sleepdefense.training import AdversarialConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """The images of a job.

    Attributes:
        train: What networks learn from.
        held_out: The last training images, which judge saturation and sleep.
        test: All test images that the scale asks for.
    """

    train: ImageSet
    held_out: ImageSet
    test: ImageSet


def plan_of(job: Job) -> Plan:
    """Return how much of everything a job does."""
    return PLANS[job.scale]


def images_of(job: Job) -> Images:
    """Load the images of a job."""
    plan = plan_of(job)
    train, test = load_data(
        job.dataset, data_dir=job.data_dir, limit=plan.train_images, test_limit=plan.fgsm_images
    )
    cut = len(train) - plan.held_out
    return Images(train=train.part(0, cut), held_out=train.part(cut, len(train)), test=test)


def network_file(job: Job, network: str, training: str, seed: int) -> Path:
    """Return where a network lies, and train it if it does not yet.

    Args:
        job: Where, and at which scale.
        network: One of `NETWORKS`.
        training: One of `TRAININGS`.
        seed: Of weights and order.

    Returns:
        A checkpoint of kind "awake".
    """
    plan = network_plan(job.scale, network)
    images = images_of(job)
    out = job.folder / f"{network.replace(' ', '-').lower()}-{training}-{seed}.h5"
    context = replace(job.context, resume=True, force=False)
    if training == "vanilla":
        train_step(plan.vanilla, images.train, out, context, seed=seed)
    elif training == "adversarial":
        config = replace(plan.vanilla, epochs=plan.adversarial_epochs)
        fast = AdversarialConfig.fast_gradient(epsilon=EPSILON)
        adversarial_step(config, images.train, out, context, seed=seed, adversarial=fast)
    else:
        start = network_file(job, network, "vanilla", seed)
        for number, stage in enumerate(plan.stages, start=1):
            is_last = number == len(plan.stages)
            file = out if is_last else out.with_name(f"{out.stem}-stage{number}.h5")
            saturate_step(
                replace(plan.vanilla, epochs=stage.epochs, learning_rate=stage.learning_rate),
                images.train,
                file,
                context,
                seed=seed,
                saturation=stage.saturation,
                held_out=images.held_out,
                start=start,
            )
            start = file
    return out


def network(job: Job, name: str, training: str, seed: int) -> AbstractClassifier:
    """Return one of the nine networks, in evaluation mode, trained if need be."""
    model: AbstractAwakeModel = awake_from_file(network_file(job, name, training, seed))
    assert isinstance(model, AbstractClassifier)
    return model


def all_networks(job: Job, seed: int, trainings: tuple[str, ...]) -> dict[str, AbstractClassifier]:
    """Return several of the nine networks: name and training -> network."""
    return {
        f"{name}, {training}": network(job, name, training, seed)
        for name in NETWORKS
        for training in trainings
    }
