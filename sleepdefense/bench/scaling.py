"""Group "steps": what more steps do to the time."""

from dataclasses import replace

import numpy as np

from sleepdefense.bench.clock import Progress, time_in_turns
from sleepdefense.bench.goals import Row, judge, tell
from sleepdefense.bench.operations import count_operations
from sleepdefense.bench.ours import prepare_kernels
from sleepdefense.bench.workload import Workload

LENGTHS = (25, 50, 100, 200, 400)


def vary_steps(workload: Workload, *, rounds: int, progress: Progress | None) -> list[Row]:
    """Time trains of 25 to 400 steps, with winners per step, and as many images as make the same work.

    Longer trains have more spikes a step, because membranes fill first: so the time is that of one synaptic
    operation. All lengths see the same images, the short ones more often.

    Args:
        workload: The images, each once; the first few are used.
        rounds: Measured runs of each.
        progress: Told before every run.
    """
    few = workload.part(num_images=4)
    batches = {length: replace(few, num_steps=length).repeated(max(LENGTHS) // length) for length in LENGTHS}
    contestants = {
        f"{length} steps": prepare_kernels(batch, "step", learns=True) for length, batch in batches.items()
    }
    seconds = time_in_turns(contestants, rounds=rounds, progress=progress)
    each = {
        length: seconds[f"{length} steps"] / sum(count_operations(batch)) for length, batch in batches.items()
    }
    mean = float(np.mean(list(each.values())))
    worst = max(abs(value / mean - 1) for value in each.values())
    rows = [judge("flat", 100 * worst, "from the mean; winners per step")]
    rows += [
        tell("steps", f"{length} steps: an operation", 1e12 * value, "CPU ps")
        for length, value in each.items()
    ]
    return rows
