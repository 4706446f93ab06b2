"""What a sleep does to DIM, its denoiser and its internal models, beside what is no sleep."""

from collections.abc import Callable

from torch import nn

from sleepdefense.evaluation.seen_as import SeenAs
from sleepdefense.evaluation.surfaces import ADAPTIVE, WHITE_BOX, find_surfaces
from sleepdefense.papers.dim2022.scales import Group
from sleepdefense.papers.dim2022.systems import build_system, data_of, network_file, plan_of
from sleepdefense.papers.outcome import Outcome
from sleepdefense.papers.recipe import Job
from sleepdefense.papers.sleep_table import (
    SleepImages,
    SleepTrial,
    guard_sentences,
    sleep_sentences,
    sleep_side_by_side,
    sleep_trial,
)

_BATCH = 100


def asleep(job: Job) -> Outcome:
    """Let DIM sleep, all its ReLU stages, and attack it before and after: as the paper did, and adaptively.

    The last training images judge what the sleep may cost. The network has learned from them: the paper holds
    none out.
    """
    plan = plan_of(job)
    tables, said = [], []
    for group, seen, words in (
        (plan.asleep, _white_box, "Attacked as the paper attacked it"),
        (plan.asleep_adaptive, _adaptive, "Attacked through its stand-ins"),
    ):
        trials = [_trial(job, group, seen, seed) for seed in job.seeds]
        title = f"'{job.dataset}', {plan.name}; {words.lower()}"
        tables.append(sleep_side_by_side(trials, name=f"table1-{group.name}", title=title))
        said += [f"{words}: {sentence}" for sentence in sleep_sentences(trials)]
    return Outcome(tables=tuple(tables), findings=(*said, *guard_sentences(trials)))


def _trial(job: Job, group: Group, seen: Callable[[nn.Module], nn.Module], seed: int) -> SleepTrial:
    plan, (train, test) = plan_of(job), data_of(job)
    build_system(job, "DIM", seed=seed)
    taken = SleepImages(
        asleep=train.take(min(plan.sleep_images, len(train))),
        held_out=train.part(max(0, len(train) - plan.sleep_judges), len(train)),
        test=test.take(min(group.images, len(test))),
    )
    return sleep_trial(
        "DIM",
        network_file(job, "DIM", seed),
        taken,
        group.attacks,
        job.context,
        out=job.folder / f"DIM-{seed}-{group.name}.h5",
        seed=seed,
        seen=seen,
        batch_size=_BATCH,
    )


def _white_box(model: nn.Module) -> nn.Module:
    return SeenAs(model, WHITE_BOX)


def _adaptive(model: nn.Module) -> nn.Module:
    surface = find_surfaces(model)[ADAPTIVE]
    assert isinstance(surface, nn.Module)
    return SeenAs(model, ADAPTIVE, surface)
