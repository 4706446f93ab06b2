"""What a batch adds to the diary."""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from sleepdefense.consolidation.course import Course
from sleepdefense.consolidation.diary import BatchRow, weight_facts
from sleepdefense.consolidation.engine import BatchEvents
from sleepdefense.consolidation.mirror import as_rows
from sleepdefense.consolidation.plan import SleepPlan
from sleepdefense.kernels import sum_counts


def batch_row(
    plan: SleepPlan, events: BatchEvents, course: Course, *, before: int, num_images: int
) -> BatchRow:
    """Return the row of a batch.

    Args:
        plan: What is settled.
        events: Of the batch.
        course: Where the sleep stands after it.
        before: Images of the batches before.
        num_images: In this batch.
    """
    stages, twins, change = plan.stages, plan.twins, course.changes
    names = [stage.name for stage in stages]
    steps = num_images * plan.config.num_steps
    plus = np.array([_total(events.potentiation, events, name) for name in names], dtype=np.float64)
    minus = np.array([_total(events.depression, events, name) for name in names], dtype=np.float64)
    total = plus + minus
    facts = np.array([weight_facts(course.counters[stage.name], math.prod(stage.kernel)) for stage in stages])
    return BatchRow(
        images=before + num_images,
        rate=np.array([events.spikes[stage.name] / (steps * stage.num_neurons) for stage in stages]),
        winners=np.array([int(np.sum(events.winners.get(name, 0))) for name in names], dtype=np.int64),
        ltp_share=np.divide(plus, total, out=np.full(len(names), np.nan), where=total > 0),
        change=np.array([change[name] for name in names]),
        twin_change=np.array([change[twins[name]] if name in twins else np.nan for name in names]),
        brake=np.array([course.brakes[name] for name in names]),
        sign_flips=facts[:, 0],
        std=facts[:, 1],
        kurtosis=facts[:, 2],
    )


def _total(counts: Mapping[str, NDArray[np.int32]], events: BatchEvents, name: str) -> int:
    """Sum the counts of a stage; there are none once it has finished."""
    if name not in counts:
        return 0
    return sum_counts(as_rows(counts[name], is_twin=False), np.flatnonzero(events.winners[name]))
