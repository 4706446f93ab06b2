import numpy as np

from sleepdefense.bench.operations import count_operations
from sleepdefense.bench.workload import Workload, fire_only


def test_every_spike_counts_once_for_every_synapse_it_meets(workload: Workload) -> None:
    record = fire_only(workload, record=True)
    inputs = (workload.train(), *record.spikes[:-1])
    expected = []
    for spikes, layer, after in zip(inputs, workload.layers, workload.shapes[1:], strict=True):
        count = 0
        _, _, height, width = layer.weight.shape
        for row in range(after[1]):
            for column in range(after[2]):
                top = row * layer.stride - layer.padding
                left = column * layer.stride - layer.padding
                field = spikes[..., max(0, top) : top + height, max(0, left) : left + width]
                count += int(field.sum(dtype=np.int64)) * after[0]
        expected.append(count)
    assert count_operations(workload) == tuple(expected)


def test_more_images_than_are_counted_at_a_time(workload: Workload) -> None:
    many = workload.repeated(3)
    parts = [
        count_operations(
            Workload(
                images=many.images[i : i + 1],
                index=many.index[i : i + 1],
                layers=many.layers,
                unit=many.unit,
                k=many.k,
                radius=many.radius,
                num_steps=many.num_steps,
            )
        )
        for i in range(len(many.images))
    ]
    assert count_operations(many) == tuple(np.sum(parts, axis=0))
