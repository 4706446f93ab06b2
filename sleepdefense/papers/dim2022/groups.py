"""Run a group of attacks on one network, and keep what was found."""

from torch import nn

from sleepdefense.evaluation import RobustnessTable, evaluate_systems
from sleepdefense.papers.dim2022.scales import Group
from sleepdefense.papers.dim2022.systems import data_of, plan_of
from sleepdefense.papers.recipe import Job

_BATCH = 100


def evaluate_group(job: Job, group: Group, column: str, model: nn.Module, seed: int) -> RobustnessTable:
    """Attack a network, or read what an earlier run found.

    Args:
        job: What this is part of.
        group: Attacks and images.
        column: Name of the network, in the table and in the name of the file.
        model: From images (batch, channel, height, width) in [0, 1] to logits (batch, class).
        seed: Of the random parts.
    """
    _, test = data_of(job)
    return evaluate_systems(
        {column: model},
        test.take(min(group.images, len(test))),
        group.attacks,
        seed=seed,
        batch_size=_BATCH,
        checks=False,
        resume=job.folder / f"{_file_name(column)}-{seed}-{group.name}.h5",
        note=plan_of(job).name,
        progress=job.context.progress,
    )


def _file_name(column: str) -> str:
    return "".join(letter if letter.isalnum() or letter == "-" else "_" for letter in column)
