"""The profile of a pass, the micro-benchmark, and what a worker needs."""

import itertools
import math

import numpy as np
import pytest
from busy_chain import busy_chain

from sleepdefense.kernels import ChainLayer, sleep_images
from sleepdefense.kernels.extent import extent_of, reach
from sleepdefense.kernels.integrate import workspace_bytes
from sleepdefense.kernels.peak import add_peaks
from sleepdefense.kernels.profile import profile_chain
from sleepdefense.kernels.workspace import CHUNK


def paper_encoder():
    """S1-S4 of Talafha et al. 2023, Table 3, with small weights."""
    rng = np.random.default_rng(0)
    shapes = [
        ((64, 1, 5, 5), 1, 2),
        ((64, 64, 4, 4), 2, 3),
        ((128, 64, 4, 4), 2, 1),
        ((256, 128, 4, 4), 2, 1),
    ]
    return [
        ChainLayer(rng.integers(0, 900, shape, dtype=np.int32), np.zeros(shape[0], np.int32), 8192, *place)
        for shape, *place in shapes
    ]


@pytest.mark.slow
@pytest.mark.parametrize("weight_type", ["i16", "i8"])
def test_profile_counts_the_additions_of_all_spikes(weight_type):
    images, index, chain = busy_chain()
    chain = [layer._replace(threshold=2 * layer.threshold) for layer in chain]
    found = profile_chain(images, index, chain, seed=5, num_steps=21, weight_type=weight_type)
    record = sleep_images(
        images, index, chain, seed=5, num_steps=21, competition="none", k=[1] * 3, radius=[0] * 3,
        learns=[True] * 3, record=True,
    )  # fmt: skip
    # If all neurons of a layer fire, each addition is a potentiation.
    loud = [layer._replace(bias=np.full(len(layer.weight), 10**6, np.int32)) for layer in chain]
    for number, layer in enumerate(loud):
        below = chain[:number]
        counted = sleep_images(
            images, index, [*below, layer], seed=5, num_steps=21, competition="none", k=[1] * (number + 1),
            radius=[0] * (number + 1), learns=[False] * number + [True],
        )  # fmt: skip
        assert found.adds[number] == counted.potentiation[number].sum()
    assert record.spike_count.min() > 0
    assert found.num_steps == 21 * len(images)
    assert set(found.seconds) == {
        "draw", "S1 fire", "S2 lists", "S2 rows", "S2 gather", "S3 lists", "S3 rows", "S3 gather",
    }  # fmt: skip
    assert all(seconds >= 0 for seconds in found.seconds.values())


def profile_by(monkeypatch, handing_over, phase):
    """Profile with a clock that goes forward by a time for a call that does nothing, then for each phase."""
    steps = itertools.chain(itertools.repeat(handing_over, 2 * 50), itertools.repeat(phase))
    monkeypatch.setattr("time.thread_time", itertools.accumulate(steps).__next__)
    images, index, chain = busy_chain()
    return profile_chain(images, index, chain, seed=5, num_steps=21).seconds


@pytest.mark.slow
def test_a_phase_takes_what_its_calls_take_without_handing_over(monkeypatch):
    seconds = profile_by(monkeypatch, 1.0, 3.0)
    chunks = 19 * math.ceil(21 / CHUNK)
    assert seconds["draw"] == seconds["S1 fire"] == 2.0 * chunks
    for layer in ("S2", "S3"):
        assert seconds[f"{layer} lists"] == seconds[f"{layer} rows"] >= 2.0 * chunks
        assert seconds[f"{layer} gather"] == 0.0  # fires as long as it lists alone


@pytest.mark.slow
def test_a_phase_shorter_than_the_noise_takes_no_time(monkeypatch):
    assert set(profile_by(monkeypatch, 3.0, 1.0).values()) == {0.0}


@pytest.mark.slow
def test_peaks_are_rates_of_each_loop():
    peaks = add_peaks("i16")
    assert set(peaks) == {f"{loop}, {size} KB" for loop in ("kernel", "widening") for size in (16, 128, 256)}
    assert all(rate > 1e6 for rate in peaks.values())


def test_a_worker_needs_less_than_two_megabytes_however_long_the_train():
    layers = paper_encoder()
    sizes = {
        workspace_bytes(layers, (1, 28, 28), competition, weight_type, num_steps=steps)
        for competition in ("image", "step")
        for weight_type in ("i16", "i8")
        for steps in (25, 400)
    }
    assert len(sizes) == 1
    assert sizes.pop() <= 2_000_000


def test_reach_is_a_bound_and_no_larger_than_it_must_be():
    def lone(weights, bias, threshold):
        weight = np.array(weights, dtype=np.int32).reshape(1, len(weights), 1, 1)
        return ChainLayer(weight, np.array([bias], dtype=np.int32), threshold)

    def furthest(layer):
        return reach(layer, extent_of(layer), 1000)

    assert furthest(lone([5, 3], 0, 10)) == 18  # never above threshold + drive
    assert furthest(lone([5, 3], 4, 10)) == 10 + 12 + 1000 * 2
    assert furthest(lone([5, -3], -4, 10)) == 7000
    assert furthest(lone([5, 3], 0, 10)._replace(pool=(2, 2))) == 72
    layer = lone([5, 3], 4, 10)
    record = sleep_images(
        np.ones((1, 2, 1, 1), np.float32), np.array([0]), [layer], seed=0, num_steps=1000, competition="none",
        k=[1], radius=[0], learns=[False], record=True,
    )  # fmt: skip
    assert 2000 <= record.membrane[0].item() <= furthest(layer)
