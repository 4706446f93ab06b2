"""What a batch adds to the diary."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sleepdefense.consolidation.diary import BatchRow, weight_facts
from sleepdefense.consolidation.dose import Course, relative_change
from sleepdefense.consolidation.dreaming import Masters
from sleepdefense.consolidation.engine import BatchEvents
from sleepdefense.consolidation.plan import SleepPlan


def batch_row(
    plan: SleepPlan, origin: Masters, events: BatchEvents, course: Course, *, before: int, num_images: int
) -> BatchRow:
    """Return the row of a batch.

    Args:
        plan: What is settled.
        origin: Weights before the sleep.
        events: Of the batch.
        course: Where the sleep stands after it.
        before: Images of the batches before.
        num_images: In this batch.
    """
    stages, twins = plan.stages, plan.twins
    names = [stage.name for stage in stages]
    steps = num_images * plan.config.num_steps
    plus = np.array([_total(events.potentiation.get(name)) for name in names], dtype=np.float64)
    minus = np.array([_total(events.depression.get(name)) for name in names], dtype=np.float64)
    total = plus + minus
    change = {name: relative_change(weight, origin[name]) for name, weight in course.masters.items()}
    facts = np.array([weight_facts(course.masters[name], origin[name]) for name in names])
    return BatchRow(
        images=before + num_images,
        rate=np.array([events.spikes[stage.name] / (steps * stage.num_neurons) for stage in stages]),
        winners=np.array([_total(events.winners.get(name)) for name in names], dtype=np.int64),
        ltp_share=np.divide(plus, total, out=np.full(len(names), np.nan), where=total > 0),
        change=np.array([change[name] for name in names]),
        twin_change=np.array([change[twins[name]] if name in twins else np.nan for name in names]),
        brake=np.array([course.brakes[name] for name in names]),
        sign_flips=facts[:, 0],
        std=facts[:, 1],
        kurtosis=facts[:, 2],
    )


def _total(counts: NDArray[Any] | None) -> int:
    """Sum counts; none of a stage that has finished."""
    return 0 if counts is None else int(counts.sum(dtype=np.int64))
