"""Group "rates": how fast the kernels are at each firing rate and with each type of weight; no learning."""

from collections.abc import Callable, Mapping

from sleepdefense.bench.batched_conv import EXACT, ROUNDED
from sleepdefense.bench.clock import Progress, one_torch_thread, time_in_turns
from sleepdefense.bench.goals import Row, judge, tell
from sleepdefense.bench.operations import count_operations
from sleepdefense.bench.opponent import Opponent
from sleepdefense.bench.ours import prepare_kernels
from sleepdefense.bench.workload import WEIGHT_TYPES, Workload

GROUP = "rates"
DENSE = {0.05: "conv-5", 0.30: "conv-30"}
"""At these rates the convolutions take part: what they cost does not depend on it, what we cost does."""


def sweep(
    workloads: Mapping[tuple[float, int], Workload],
    *,
    repeats: int,
    rounds: int,
    progress: Progress | None,
) -> list[Row]:
    """Time every rate with every type of weight.

    Args:
        workloads: (rate, grid units in 1.0) -> workload, each image once.
        repeats: How often ours presents each image.
        rounds: Measured runs of each.
        progress: Told before every run.
    """
    judged: list[Row] = []
    told: list[Row] = []
    for rate in dict.fromkeys(rate for rate, _ in workloads):
        contestants: dict[str, Callable[[], object]] = {}
        image_steps, operations = {}, {}
        for weight_type, unit in WEIGHT_TYPES.items():
            batch = workloads[rate, unit].repeated(repeats)
            name = f"{weight_type} at {100 * rate:.0f} %"
            contestants[name] = prepare_kernels(batch, learns=False, weight_type=weight_type)
            image_steps[name] = batch.num_image_steps
            operations[name] = sum(count_operations(batch)) / batch.num_image_steps
        dense: tuple[Opponent, ...] = ()
        if rate in DENSE:  # bfloat16 once: what it takes hardly depends on the spikes
            dense = (*EXACT, *ROUNDED) if rate == min(DENSE) else EXACT
        with one_torch_thread():
            for each in dense:
                workload = workloads[rate, WEIGHT_TYPES["i16"]]
                contestants[each.name] = each.prepare(workload, False)
                image_steps[each.name] = workload.num_image_steps
            seconds = time_in_turns(contestants, rounds=rounds, progress=progress)
        each_step = {name: time / image_steps[name] for name, time in seconds.items()}
        for name, count in operations.items():
            note = f"{count / 1e6:.2f} M operations, {count / each_step[name] / 1e9:.1f} G/s"
            told.append(tell(GROUP, f"{name}: an image and step", 1e6 * each_step[name], "CPU us", note))
        own = each_step[f"i16 at {100 * rate:.0f} %"]
        if dense:
            best = min(EXACT, key=lambda each: each_step[each.name])
            judged.append(judge(DENSE[rate], each_step[best.name] / own, best.name))
            for each in dense:
                ratio = f"{each_step[each.name] / own:.1f}x ours at {100 * rate:.0f} %"
                note = "; ".join(text for text in (ratio, each.note) if text)
                figure = f"{each.name}, at {100 * rate:.0f} %: an image and step"
                told.append(tell(GROUP, figure, 1e6 * each_step[each.name], "CPU us", note))
    return judged + told
