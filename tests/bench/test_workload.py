from pathlib import Path

import numpy as np
import pytest

from sleepdefense.bench.network import FLOAT_GRID, GRID, TABLE_3, Geometry, draw_weights, on_grid
from sleepdefense.bench.workload import (
    Workload,
    calibrated,
    fire_only,
    firing_rates,
    make_workload,
    pick_images,
)
from sleepdefense.errors import ConfigError, DataError


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.3])
def test_calibration_hits_the_rate_in_every_layer(workload: Workload, rate: float) -> None:
    found = firing_rates(calibrated(workload, rate))
    # one neuron of the last layer, 9 of them, at one of 72 image-steps is 0.0015
    assert all(rate <= each < rate + 0.01 for each in found), found


def test_a_slightly_higher_threshold_fires_less(workload: Workload) -> None:
    for number, layer in enumerate(workload.layers):
        layers = list(workload.layers)
        layers[number] = layer._replace(threshold=int(layer.threshold * 1.1))
        changed = Workload(
            images=workload.images,
            index=workload.index,
            layers=tuple(layers),
            unit=workload.unit,
            k=workload.k,
            radius=workload.radius,
            num_steps=workload.num_steps,
        )
        assert firing_rates(changed)[number] < 0.1


def test_a_rate_beyond_reach_is_refused() -> None:
    images = np.zeros((1, 1, 8, 8), dtype=np.float32)
    images[..., :4] = 1.0
    geometry = (Geometry(2, 1, 1, 0, k=1, radius=0),)
    with pytest.raises(ConfigError, match=r"S1 fires less than 0\.6 .* take a lower rate"):
        make_workload(images, geometry, unit=GRID, num_steps=8, rate=0.6)
    assert firing_rates(make_workload(images, geometry, unit=GRID, num_steps=8, rate=0.5)) == (0.5,)


def test_the_network_is_that_of_table_3() -> None:
    layers = on_grid(TABLE_3, draw_weights(TABLE_3), unit=GRID)
    workload = Workload(
        images=np.zeros((1, 1, 28, 28), dtype=np.float32),
        index=np.zeros(1, dtype=np.int64),
        layers=layers,
        unit=GRID,
        k=(1,) * 4,
        radius=(0,) * 4,
        num_steps=1,
    )
    assert workload.shapes[1:] == [(64, 28, 28), (64, 16, 16), (128, 8, 8), (256, 4, 4)]
    assert [layer.weight.max() <= GRID and layer.weight.min() >= 0 for layer in layers] == [True] * 4
    assert layers[3].weight.mean() / GRID == pytest.approx(1 / 3, abs=0.01)  # the mean of u^2


def test_the_same_weights_on_a_coarser_grid() -> None:
    geometry = (Geometry(2, 3, 1, 0, k=1, radius=0),)
    weights = draw_weights(geometry, seed=3)
    (fine,), (coarse,) = (on_grid(geometry, weights, unit=unit) for unit in (GRID, FLOAT_GRID))
    np.testing.assert_allclose(fine.weight / GRID, coarse.weight / FLOAT_GRID, atol=0.6 / FLOAT_GRID)


def test_parts_and_repetitions_keep_the_images(workload: Workload) -> None:
    twice = workload.repeated(2)
    assert twice.num_image_steps == 2 * workload.num_image_steps
    assert np.array_equal(twice.images[3:], workload.images)
    assert np.array_equal(twice.index, np.arange(6))
    assert not np.array_equal(twice.train()[:, :3], twice.train()[:, 3:])
    part = workload.part(2, 5)
    assert np.array_equal(part.train(), workload.train()[:5, :2])
    assert workload.part().num_image_steps == workload.num_image_steps
    whole, some = fire_only(workload, record=True), fire_only(part, record=True)
    assert np.array_equal(some.spikes[-1], whole.spikes[-1][:5, :2])


def test_without_mnist_the_table_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLEEPDEFENSE_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    picked = pick_images(3, None)
    assert picked.images.shape == (3, 1, 28, 28)
    assert "embedded digits" in picked.source
    with pytest.raises(DataError, match="mnist"):
        pick_images(3, tmp_path)


def test_mnist_is_taken_where_it_is(mnist_dir: Path) -> None:
    assert pick_images(2, mnist_dir).source.startswith("MNIST")


def test_the_same_rate_on_both_grids() -> None:
    geometry = (Geometry(6, 3, 1, 1, k=1, radius=0),)
    images = np.random.default_rng(1).random((2, 1, 8, 8), dtype=np.float32)
    for unit in (GRID, FLOAT_GRID):
        made = make_workload(images, geometry, unit=unit, num_steps=20, rate=0.2)
        assert firing_rates(made)[0] == pytest.approx(0.2, abs=0.01)
