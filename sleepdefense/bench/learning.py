"""Group "learning": what it costs beyond firing to choose winners, to count, and to change the weights."""

from collections.abc import Callable

from sleepdefense.bench.clock import Progress, one_torch_thread, time_in_turns
from sleepdefense.bench.goals import Row, judge, tell
from sleepdefense.bench.ours import Competition, prepare_kernels, prepare_sleep
from sleepdefense.bench.workload import Workload

GROUP = "learning"
COMPETITIONS: tuple[Competition, ...] = ("image", "step")


def measure_learning(
    workload: Workload, *, repeats: int, rounds: int, progress: Progress | None
) -> list[Row]:
    """Compare a batch of a sleep, from weights to weights, with the same batch that only fires.

    Args:
        workload: The images, each once.
        repeats: How often each is presented, with other spikes: the batch of the sleep.
        rounds: Measured runs of each.
        progress: Told before every run.
    """
    batch = workload.repeated(repeats)
    contestants: dict[str, Callable[[], object]] = {"fire": prepare_kernels(batch, learns=False)}
    for competition in COMPETITIONS:
        contestants[f"count {competition}"] = prepare_kernels(batch, competition, learns=True)
        contestants[f"sleep {competition}"] = prepare_sleep(batch, competition).run
    with one_torch_thread():
        seconds = time_in_turns(contestants, rounds=rounds, progress=progress)
    rows = []
    for competition in COMPETITIONS:
        counting, sleeping = (
            100 * (seconds[f"{what} {competition}"] / seconds["fire"] - 1) for what in ("count", "sleep")
        )
        note = f"batch of {len(batch.images)} images x {batch.num_steps} steps"
        rows.append(judge(f"learning-{competition}", sleeping, note))
        rows.append(tell(GROUP, f"the same without changing weights, per {competition}", counting, "%"))
    change = 1e3 * (seconds["sleep image"] - seconds["count image"])
    rows.append(tell(GROUP, "changing the weights: a batch", change, "CPU ms", "winners per image"))
    return rows
