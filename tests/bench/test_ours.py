import numpy as np
import pytest

from sleepdefense.bench.ours import Competition, prepare_kernels, prepare_sleep
from sleepdefense.bench.workload import Workload
from sleepdefense.consolidation import STDP


@pytest.mark.parametrize("competition", ["image", "step"])
def test_the_batch_of_a_sleep_applies_what_the_kernels_count(
    workload: Workload, competition: Competition
) -> None:
    batch = prepare_sleep(workload, competition)
    record = prepare_kernels(workload, competition, learns=True)()
    before = list(batch.course.masters.values())
    after = list(batch.run().masters.values())
    assert len(after) == len(workload.layers)
    for number, layer in enumerate(workload.layers):
        weight = layer.weight / workload.unit
        assert np.array_equal(before[number], weight.astype(np.float32))
        counts = record.potentiation[number], record.depression[number]
        assert counts[0].any()
        change = STDP().direction(weight, weight, *counts) / len(workload.images)
        np.testing.assert_allclose(after[number], weight + change, rtol=0, atol=1e-6)
        assert not np.array_equal(after[number], before[number])


def test_a_batch_called_again_is_the_next_of_the_same_sleep(workload: Workload) -> None:
    one, other = prepare_sleep(workload, "image"), prepare_sleep(workload, "image")
    before = {name: weight.copy() for name, weight in one.course.masters.items()}
    for _ in range(3):
        after, again = one.run().masters, other.run().masters
        for name, weight in after.items():
            assert np.array_equal(weight, again[name])
            assert not np.array_equal(weight, before[name])
            before[name] = weight.copy()


def test_without_learning_nothing_is_counted(workload: Workload) -> None:
    record = prepare_kernels(workload, learns=False)()
    assert all(len(counts) == 0 for counts in record.potentiation)
    assert record.spike_count.all()


def test_threads_change_nothing(workload: Workload) -> None:
    one, two = (prepare_kernels(workload.repeated(4), learns=True, threads=n)() for n in (1, 2))
    assert np.array_equal(one.winners, two.winners)
