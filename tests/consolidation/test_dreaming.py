from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from sleepdefense.consolidation import MirroredSTDP, SleepConfig, sleep
from sleepdefense.consolidation.dreaming import dreaming, find_thresholds, thresholds_of, with_masters
from sleepdefense.consolidation.plan import settle
from sleepdefense.errors import ConfigError, SleepError
from sleepdefense.spiking import simulate


def planned(network, **settings):
    return settle(network, MirroredSTDP(), SleepConfig(**settings))


def test_nothing_changes_where_nothing_is_set(conv, images):
    plan = planned(conv)
    assert find_thresholds(plan, images) == {}
    for node, same in zip(conv.nodes, dreaming(plan, {}, {}).nodes, strict=True):
        assert node is same


def test_printed_thresholds_are_36_23_23_36(conv, fc):
    assert list(thresholds_of(planned(conv).plastic, SleepConfig()).values()) == [36, 23, 23, 36]
    assert list(thresholds_of(planned(fc).plastic, SleepConfig()).values()) == [36]


def test_thresholds_of_another_number_are_refused(conv):
    with pytest.raises(ConfigError, match="thresholds has 2 values, expected one for each of the 4"):
        thresholds_of(planned(conv).plastic, SleepConfig(thresholds=(1.0, 2.0)))


def test_absolute_thresholds_meet_weights_in_the_unit_range_without_biases(conv, images):
    plan = planned(conv, threshold_mode="absolute")
    network = dreaming(plan, {}, find_thresholds(plan, images))
    for stage in plan.plastic:
        weight, synapses = conv.weights[stage.name], network.node(stage.name).synapses
        assert synapses.bias is None
        expected = (weight - weight.min()) / (weight.max() - weight.min())
        assert_allclose(synapses.weight.numpy(), expected.numpy(), atol=1e-6)
    assert [network.node(stage.unit).threshold for stage in plan.plastic] == [36, 23, 23, 36]


def test_calibrated_thresholds_let_the_wanted_share_fire(conv, images):
    plan = planned(conv, threshold_mode="calibrated", firing_share=0.2)
    thresholds = find_thresholds(plan, images)
    record = simulate(
        dreaming(plan, {}, thresholds),
        images,
        num_steps=plan.config.num_steps,
        encoder="bernoulli",
        until=set(thresholds),
    )
    shares = [float((record.rates[unit] > 0).double().mean()) for unit in thresholds]
    assert 0.2 <= min(shares) < 0.35
    assert_allclose(np.array(list(thresholds.values())) / max(thresholds.values()), [1, 23 / 36, 23 / 36, 1])


def test_a_share_that_cannot_fire_is_an_error(conv, images):
    with pytest.raises(SleepError, match=r"no threshold lets enough neurons of stage 'encoder.\d' fire: 0"):
        find_thresholds(planned(conv, threshold_mode="calibrated", firing_share=0.999999), images)


def test_thresholds_lie_on_the_grid_of_the_weights_they_meet(conv):
    plan = planned(conv, threshold_mode="calibrated")
    network = dreaming(plan, {}, {stage.unit: 0.7 for stage in plan.plastic})
    for stage in plan.plastic:
        units = network.node(stage.unit).threshold * 2 ** network.node(stage.name).synapses.grid_bits
        assert units == round(units)


def test_grown_weights_get_a_grid_on_which_sums_stay_exact(fc):
    weight = fc.weights["encoder.1"].numpy() * 3000
    network = with_masters(fc, {"encoder.1": weight})
    synapses = network.node("encoder.1").synapses
    assert synapses.grid_bits < fc.node("encoder.1").synapses.grid_bits
    assert float(synapses.weight.abs().max()) * 2**synapses.grid_bits <= 32767
    assert_array_equal(synapses.weight.numpy(), weight)


def test_the_literal_sleep_runs(conv, images):
    # A tenth of the printed thresholds, for an encoder of a twentieth of the printed width
    config = replace(SleepConfig.paper_literal(max_images=6), thresholds=(3.6, 2.3, 2.3, 3.6))
    slept = sleep(conv, images, MirroredSTDP(weight_dependence="affine"), config=config)
    assert slept.diary.num_images == 6
    assert all(torch.isfinite(weight).all() for weight in slept.network.weights.values())
