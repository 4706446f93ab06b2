"""Group "opponents": who else does the same work, and how long it takes them."""

from collections.abc import Callable, Sequence

from sleepdefense.bench.clock import Progress, one_torch_thread, time_in_turns
from sleepdefense.bench.goals import Row, judge, tell
from sleepdefense.bench.opponent import Missing, Opponent
from sleepdefense.bench.ours import prepare_kernels, prepare_sleep
from sleepdefense.bench.snntorch_loop import SNNTORCH
from sleepdefense.bench.workload import Workload

GROUP = "opponents"
OURS = {"image": "ours, winners per image", "step": "ours, winners per step", "none": "ours, no learning"}


def compare(
    workload: Workload,
    others: Sequence[Opponent | Missing],
    *,
    repeats: int,
    rounds: int,
    progress: Progress | None,
) -> list[Row]:
    """Let ours and all opponents run in turns, and report their ratios per image and step.

    Ours sleeps a whole batch, of the same images presented `repeats` times with other spikes, because that is
    how often the package changes weights; the change is part of its time. Opponents get each image once, with
    its spikes ready; drawing them is part of our time only.

    Args:
        workload: The images, each once.
        others: Opponents beside snntorch.
        repeats: See above.
        rounds: Measured runs of each.
        progress: Told before every run.
    """
    batch = workload.repeated(repeats)
    opponents = [*SNNTORCH, *(each for each in others if isinstance(each, Opponent))]
    parts = {_key(each): workload.part(each.num_images, each.num_steps) for each in opponents}
    contestants: dict[str, Callable[[], object]] = {
        OURS["image"]: prepare_sleep(batch, "image").run,
        OURS["step"]: prepare_sleep(batch, "step").run,
        OURS["none"]: prepare_kernels(batch, learns=False),
        "ours, winners per image, counting only": prepare_kernels(batch, "image", learns=True),
        "ours, winners per step, counting only": prepare_kernels(batch, "step", learns=True),
    }
    with one_torch_thread():
        contestants |= {_key(each): each.prepare(parts[_key(each)], False) for each in opponents}
        seconds = time_in_turns(contestants, rounds=rounds, progress=progress)
    each_step = {name: time / parts.get(name, batch).num_image_steps for name, time in seconds.items()}
    rows = _ratios(opponents, each_step)
    rows += [
        tell(GROUP, f"{name}: an image and step", 1e6 * time, "CPU us") for name, time in each_step.items()
    ]
    for each in others:
        if isinstance(each, Missing):
            rows.append(tell(GROUP, each.name, None, "x", f"skipped: {each.why}"))
    return rows


def _key(opponent: Opponent) -> str:
    return f"{opponent.name}, {'no learning' if opponent.learning == 'none' else opponent.learning}"


def _ratios(opponents: Sequence[Opponent], each_step: dict[str, float]) -> list[Row]:
    """Judge the fastest of the opponents that share a goal, and tell about all."""
    rows = []
    for goal in dict.fromkeys(each.goal for each in opponents if each.goal is not None):
        best = min((each for each in opponents if each.goal == goal), key=lambda each: each_step[_key(each)])
        ratio = each_step[_key(best)] / each_step[OURS[best.learning]]
        rows.append(judge(goal, ratio, _note(best)))
    for each in opponents:
        ratio = each_step[_key(each)] / each_step[OURS[each.learning]]
        rows.append(tell(GROUP, f"against {_key(each)}", ratio, "x", each.note))
    return rows


def _note(opponent: Opponent) -> str:
    return "; ".join(text for text in (opponent.name, opponent.note) if text)
