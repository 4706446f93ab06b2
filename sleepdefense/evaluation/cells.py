"""One attack on one batch of images: the smallest piece of an evaluation that is done, kept and sent away.

A cell is a function of its arguments alone, so that any process may work on it, in any order.
"""

import time
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64, Int32
from numpy import ndarray
from torch import Tensor

from sleepdefense.attacks.any_of import AnyOf
from sleepdefense.attacks.build import AttackedBatch, attack_batch
from sleepdefense.attacks.catalogue import AttackSpec
from sleepdefense.attacks.starting import StartingPool
from sleepdefense.errors import UnfinishedError
from sleepdefense.evaluation.metrics import distances
from sleepdefense.evaluation.systems import Model, device_of, logits_of
from sleepdefense.shapes import Images, Labels

NUM_SAMPLES = 8
"""Attacked images kept of each row, for reports."""

UNKNOWN, NOT_ASKED = -1, -2
"""Predictions that are none: the row failed; the image was not attacked for this row."""

NO_MEMBER = -1
"""Where no member of a surface brought an image down, or it has none."""

FAILURES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    NotImplementedError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What an attack or a foreign model may raise and a row can bear; a full disk or an interrupt goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is done with every batch.

    Attributes:
        attack: What to do; None shows the images as they are.
        surface: What is attacked.
        judges: What each row shows the attacked images to.
        seed: Seed of the random parts.
        pool: Where attacks that start from another class find their start.
    """

    attack: AttackSpec | None
    surface: Model
    judges: tuple[Model, ...]
    seed: int
    pool: StartingPool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Images, and which of them each row asks for.

    Attributes:
        first: Place of the first image in its data set.
        images: (image, channel, height, width), in [0, 1].
        labels: True class of each image, (image,).
        asked: Whether a row needs an image attacked, (row, image). What no row asks for is left as it is.
    """

    first: int
    images: Images
    labels: Labels
    asked: Bool[ndarray, "row image"]


@dataclass(slots=True, kw_only=True, eq=False)
class CellResult:
    """What came out of a cell.

    Attributes:
        predicted: Predicted class, (row, image); `UNKNOWN` where a row failed, `NOT_ASKED` where a row did
            not ask.
        moved: How far each image was moved, (image,).
        samples: The first attacked images of the data set, as far as they are in this batch.
        winner: Of a surface that stands for several, the number of the member that each image came from,
            (image,); -1 where none brought it down, and for any other surface.
        errors: For each row what went wrong, or "".
        without_gradient: How many images gave the attack no gradient to follow.
        num_attacked: Images attacked.
        forward: Images that passed forward through the attacked model.
        backward: Images that passed backward.
        seconds: Wall time.
    """

    predicted: Int32[ndarray, "row image"]
    moved: Float64[ndarray, " image"]
    samples: Float32[ndarray, "sample channel height width"]
    winner: Int32[ndarray, " image"]
    errors: list[str] = field(default_factory=list)
    without_gradient: int = 0
    num_attacked: int = 0
    forward: int = 0
    backward: int = 0
    seconds: float = 0.0


def run_cell(task: Task, batch: Batch) -> CellResult:
    """Attack a batch, show what came out to every judge, and write down the outcome.

    Args:
        task: What to do.
        batch: The images.

    Returns:
        The outcome. Whatever an attack or a model raises is in its `errors`.

    Raises:
        UnfinishedError: The work was interrupted.
    """
    begin = time.perf_counter()
    result = failed_cell(batch, "")
    try:
        attacked = _attack(task, batch, result)
    except UnfinishedError:
        raise
    except FAILURES as error:
        result.errors = [in_words(error)] * len(result.errors)
    else:
        norm = task.attack.norm if task.attack is not None else "none"
        result.moved[:] = distances(batch.images.cpu(), attacked, norm).numpy()
        result.samples[:] = attacked[: len(result.samples)].numpy()
        _judge(task, batch, attacked, result)
    result.seconds = time.perf_counter() - begin
    return result


def failed_cell(batch: Batch, words: str) -> CellResult:
    """Return what a cell gives that could not be worked on, with what went wrong in words."""
    num_rows, num_images = batch.asked.shape
    num_samples = max(0, min(NUM_SAMPLES - batch.first, num_images))
    return CellResult(
        predicted=np.full((num_rows, num_images), UNKNOWN, np.int32),
        moved=np.zeros(num_images),
        samples=np.zeros((num_samples, *batch.images.shape[1:]), np.float32),
        winner=np.full(num_images, NO_MEMBER, np.int32),
        errors=[words] * num_rows,
    )


def _attack(task: Task, batch: Batch, result: CellResult) -> Tensor:
    """Return the images, those attacked that a row asks for, on the CPU."""
    images = batch.images.cpu()
    chosen = torch.from_numpy(np.flatnonzero(batch.asked.any(0)))
    if task.attack is None or not len(chosen):
        return images
    device = device_of(task.surface)
    outcome: AttackedBatch = attack_batch(
        task.attack,
        task.surface,
        images[chosen].to(device),
        batch.labels.cpu()[chosen].to(device),
        index=batch.first + chosen,
        seed=task.seed,
        pool=task.pool,
    )
    result.without_gradient = int(outcome.without_gradient.sum())
    result.num_attacked = len(chosen)
    result.forward, result.backward = outcome.forward, outcome.backward
    members = member_names(task.surface, task.attack)
    if members and outcome.winner:
        won = [members.index(name) if name else NO_MEMBER for name in outcome.winner]
        result.winner[chosen.numpy()] = won
    attacked = images.clone()
    attacked[chosen] = outcome.images.cpu()
    return attacked


def member_names(surface: Model, attack: AttackSpec | None) -> tuple[str, ...]:
    """Return the names of what a surface stands for, if an attack goes through each of several."""
    if isinstance(surface, AnyOf) and len(surface.names) > 1 and attack is not None and attack.needs_gradient:
        return surface.names
    return ()


def _judge(task: Task, batch: Batch, attacked: Tensor, result: CellResult) -> None:
    """Show the images to each judge that asked for them."""
    for row, judge in enumerate(task.judges):
        result.predicted[row] = NOT_ASKED
        chosen = np.flatnonzero(batch.asked[row])
        if not len(chosen):
            continue
        try:
            logits = logits_of(judge, attacked[torch.from_numpy(chosen)])
        except UnfinishedError:
            raise
        except FAILURES as error:
            result.errors[row] = in_words(error)
            result.predicted[row] = UNKNOWN
        else:
            result.predicted[row, chosen] = logits.argmax(1).cpu().numpy()


def in_words(error: Exception) -> str:
    """Return an error as one line."""
    text = " ".join(str(error).split())
    return text if text else type(error).__name__
