"""What a sleep does to DIM, its denoiser and its internal models, beside what is no sleep."""

from torch import nn

from sleepdefense.evaluation.surfaces import WHITE_BOX
from sleepdefense.papers.dim2022.systems import build_system, data_of, network_file, plan_of
from sleepdefense.papers.outcome import Outcome
from sleepdefense.papers.recipe import Job
from sleepdefense.papers.sleep_table import SleepImages, sleep_sentences, sleep_side_by_side, sleep_trial
from sleepdefense.pipeline.evaluating import SeenAs

_BATCH = 100


def asleep(job: Job) -> Outcome:
    """Let DIM sleep, all its ReLU stages, and attack it before and after as the paper attacked it.

    The last training images judge what the sleep may cost. The network has learned from them: the paper holds
    none out.
    """
    plan, (train, test) = plan_of(job), data_of(job)
    taken = SleepImages(
        asleep=train.take(min(plan.sleep_images, len(train))),
        held_out=train.part(max(0, len(train) - plan.sleep_judges), len(train)),
        test=test.take(min(plan.asleep.images, len(test))),
    )
    trials = []
    for seed in job.seeds:
        build_system(job, "DIM", seed=seed)
        awake = network_file(job, "DIM", seed)
        trial = sleep_trial(
            "DIM",
            awake,
            taken,
            plan.asleep.attacks,
            job.context,
            out=job.folder / f"DIM-{seed}-{plan.asleep.name}.h5",
            seed=seed,
            seen=_white_box,
            batch_size=_BATCH,
        )
        trials.append(trial)
    table = sleep_side_by_side(trials, name="table1-sleep", title=f"'{job.dataset}', {plan.name}")
    return Outcome(tables=(table,), findings=sleep_sentences(trials))


def _white_box(model: nn.Module) -> nn.Module:
    return SeenAs(model, WHITE_BOX, model)
