"""What a sleep does to saturated networks and to their vanilla twins, beside what is no sleep."""

from dataclasses import replace

from sleepdefense.papers.nayebi2017.networks import images_of, network_file, plan_of
from sleepdefense.papers.nayebi2017.plan import EPSILON, NETWORKS
from sleepdefense.papers.outcome import Outcome
from sleepdefense.papers.recipe import Job
from sleepdefense.papers.sleep_table import (
    SleepImages,
    guard_sentences,
    sleep_sentences,
    sleep_side_by_side,
    sleep_trial,
)

_ATTACKS = (
    f"Linf:FGSM(epsilon={EPSILON}),Linf:FGSM(epsilon=0.1),Linf:PGD(epsilon=0.1,loss=margin),L2:DDN(steps=50)"
)


def asleep(job: Job) -> Outcome:
    """Let the vanilla and the saturated networks sleep, and attack them before and after."""
    plan, images = plan_of(job), images_of(job)
    taken = SleepImages(
        asleep=images.train.take(plan.sleep_images),
        held_out=images.held_out,
        test=images.test.take(plan.sleep_test),
    )
    seed, trials = job.seeds[0], []
    for network in NETWORKS:
        for training in ("vanilla", "saturated"):
            awake = network_file(job, network, training, seed)
            trial = sleep_trial(
                f"{network}, {training}",
                awake,
                taken,
                _ATTACKS,
                replace(job.context, resume=True, force=False),
                out=job.folder / f"table1-sleep-{awake.stem}.h5",
                seed=seed,
            )
            trials.append(trial)
    table = sleep_side_by_side(trials, name="table1-sleep", title=f"{job.scale} scale, {job.dataset}")
    return Outcome(tables=(table,), findings=(*sleep_sentences(trials), *guard_sentences(trials)))
