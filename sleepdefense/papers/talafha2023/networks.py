"""The networks of a table: classifiers, purifiers before and after sleep, and the controls of the sleep."""

from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from sleepdefense.data import ImageSet, load_data
from sleepdefense.papers.asleep import Slept, let_sleep
from sleepdefense.papers.recipe import Job
from sleepdefense.papers.talafha2023.joint_step import JointFiles, joint_step
from sleepdefense.papers.talafha2023.plan import Plan
from sleepdefense.pipeline import train_step


@dataclass(frozen=True, slots=True, kw_only=True)
class Pantry:
    """The images of a job.

    Attributes:
        train: What every training sees.
        held_out: Training images that judge what a sleep may cost.
        test: What the tables count.
        asked: Test images that an attacker asks about, and no table counts; None where nobody asks.
    """

    train: ImageSet
    held_out: ImageSet
    test: ImageSet
    asked: ImageSet | None = None


def load_pantry(job: Job, plan: Plan, *, asked: int = 0) -> Pantry:
    """Load the images of a job and set some of the training images aside.

    Args:
        job: What this is for.
        plan: Its scale.
        asked: Test images for an attacker to ask about, the last ones.
    """
    limit = None if plan.test is None else plan.test + asked
    train, test = load_data(job.dataset, data_dir=job.data_dir, limit=plan.train, test_limit=limit)
    rest, counted = len(train) - plan.held_out, len(test) - asked
    return Pantry(
        train=train.part(0, rest),
        held_out=train.part(rest, len(train)),
        test=test.part(0, counted),
        asked=test.part(counted, len(test)) if asked else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One classifier and all that is built around it, for one seed.

    Attributes:
        name: "C1" to "C3".
        folder: Where its files lie.
        classifier: The classifier alone.
        purified: Defense-VAE in front of it.
        joint: The purifier and the classifier that were trained together.
    """

    name: str
    folder: Path
    classifier: nn.Module
    purified: Slept
    joint: Slept


def seed_folder(job: Job, seed: int) -> Path:
    """Return the folder of one repetition, which exists."""
    folder = job.folder / f"seed{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def train_classifier_of(
    job: Job, plan: Plan, pantry: Pantry, name: str, seed: int, *, member: int = 0
) -> tuple[Path, nn.Module]:
    """Train one of C1 to C4; return its file and itself. `member` counts those with other first weights."""
    folder = seed_folder(job, seed) / name
    folder.mkdir(exist_ok=True)
    path = folder / ("classifier.h5" if member == 0 else f"classifier-{member}.h5")
    model = train_step(
        plan.classifiers[name],
        pantry.train,
        path,
        _telling(job, f"{name}, seed {seed}").context,
        seed=seed + 1000 * member,
        device=job.context.device,
    )
    return path, model


def make_target(job: Job, plan: Plan, pantry: Pantry, name: str, seed: int) -> Target:
    """Train a classifier, its purifier, both together, and let the purifiers sleep; or load them."""
    path, classifier = train_classifier_of(job, plan, pantry, name, seed)
    folder = path.parent
    told = _telling(job, f"{name}, seed {seed}")
    train_step(
        plan.purifier,
        pantry.train,
        folder / "defense-vae.h5",
        told.context,
        seed=seed,
        pairs=plan.pairs,
        classifier=path,
        cache=folder / "pairs.h5",
        device=job.context.device,
    )
    apart = JointFiles(purifier=folder / "defense-vae.h5", classifier=path)
    together = JointFiles(purifier=folder / "joint.h5", classifier=folder / "joint-classifier.h5")
    _, joint_classifier = joint_step(
        replace(plan.joint, model=plan.purifier.model, settings=plan.purifier.settings),
        plan.classifiers[name],
        pantry.train,
        together,
        told.context,
        options=plan.joint_loss,
        pairs=plan.pairs,
        target=path,
        cache=folder / "pairs.h5",
        seed=seed,
        images=plan.joint_images,
        start=None if plan.joint_is_random else apart,
    )
    return Target(
        name=name,
        folder=folder,
        classifier=classifier,
        purified=sleep_of(told, plan, pantry, folder / "defense-vae.h5", classifier, seed),
        joint=sleep_of(told, plan, pantry, together.purifier, joint_classifier, seed),
    )


def make_gan(job: Job, plan: Plan, pantry: Pantry, seed: int) -> nn.Module | None:
    """Train Defense-GAN, which all classifiers share; None where the plan has none."""
    if plan.gan is None:
        return None
    return train_step(
        plan.gan,
        pantry.train,
        seed_folder(job, seed) / "defense-gan.h5",
        _telling(job, f"Defense-GAN, seed {seed}").context,
        seed=seed,
        device=job.context.device,
    )


def sleep_of(job: Job, plan: Plan, pantry: Pantry, awake: Path, classifier: nn.Module, seed: int) -> Slept:
    """Let a purifier sleep as a plan says, with the classifier as judge of what that costs."""
    return let_sleep(
        awake,
        pantry.train,
        job.context,
        conversion=plan.conversion,
        section=plan.sleep,
        seed=seed,
        held_out=pantry.held_out,
        classifier=classifier,
    )


def _telling(job: Job, what: str) -> Job:
    """Return the job with progress that says which network it is about."""
    told = job.context.progress

    def progress(done: int, total: int, text: str) -> None:
        told(done, total, f"{what}: {text}")

    return replace(job, context=replace(job.context, progress=progress))
