"""Spikes and membranes of the torch engine against the plain twin, and the types that hold them."""

import naive
import numpy as np
import pytest
import torch
from hypothesis import given
from integer_chains import DEVICES, chain_sleeps
from numpy.testing import assert_array_equal

from sleepdefense.consolidation.torch_dynamics import drive, hidden_shape, integrate_, to_device
from sleepdefense.errors import SleepError
from sleepdefense.kernels import ChainLayer, bernoulli_train, sleep_images

CPU = torch.device("cpu")


@DEVICES
@given(case=chain_sleeps())
def test_every_spike_and_membrane_is_that_of_the_kernels(device, case):
    images, index, chain, options = case
    record = sleep_images(images, index, chain, record=True, **options)
    steps = options["num_steps"]
    train = bernoulli_train(images, index, seed=options["seed"], first_step=0, num_steps=steps)
    spikes = torch.from_numpy(train).bool().to(device)
    for number, layer in enumerate(chain):
        asleep = to_device(layer, num_steps=steps, device=torch.device(device))
        before = spikes.shape[2], spikes.shape[3], spikes.shape[4]
        potential = drive(spikes, asleep)
        assert potential.shape[2:] == hidden_shape(asleep, before)
        rest = torch.zeros_like(potential[0])
        membrane = integrate_(potential, rest, asleep.threshold)
        assert not rest.any()
        spikes = potential > asleep.threshold
        assert_array_equal(spikes.cpu().numpy(), record.spikes[number])
        assert_array_equal(membrane.cpu().numpy(), record.membrane[number])
        assert potential.max() <= asleep.highest


def test_potentials_are_those_computed_by_hand():
    weight = np.array([[[[2]]], [[[3]]]], dtype=np.int32)
    layer = to_device(ChainLayer(weight, np.array([0, -1], np.int32), 3), num_steps=4, device=CPU)
    current = drive(torch.ones(4, 1, 1, 1, 1, dtype=torch.bool), layer)
    membrane = integrate_(current, torch.zeros(1, 2, 1, 1), layer.threshold)
    # 2, 4 (fires), 1 + 2, 3 + 2 (fires); the second, 3 - 1 a step, goes the same way.
    assert current.flatten(1).tolist() == [[2, 2], [4, 4], [3, 3], [5, 5]]
    assert membrane.flatten().tolist() == [2, 2]


@pytest.mark.parametrize(
    ("largest", "num_steps", "drives", "potentials"),
    [
        (2**20, 16, torch.float32, torch.float32),
        (2**20, 17, torch.float32, torch.float64),
        (2**24 + 1, 1, torch.float64, torch.float64),
    ],
)
def test_the_type_holds_every_whole_number(largest, num_steps, drives, potentials):
    weight = np.full((1, 1, 1, 1), -largest, dtype=np.int32)
    layer = to_device(ChainLayer(weight, np.zeros(1, np.int32), 1), num_steps=num_steps, device=CPU)
    assert (layer.weight.dtype, layer.bias.dtype) == (drives, potentials)
    biased = ChainLayer(np.zeros((1, 1, 1, 1), np.int32), np.array([-largest], np.int32), 1)
    assert to_device(biased, num_steps=num_steps, device=CPU).bias.dtype == potentials
    high = ChainLayer(np.ones((1, 1, 1, 1), np.int32), np.zeros(1, np.int32), largest * num_steps)
    assert to_device(high, num_steps=1, device=CPU).bias.dtype == potentials


def test_sums_beyond_single_precision_are_exact():
    weight = np.full((1, 3, 1, 1), 2**24 - 1, dtype=np.int32)
    layer = ChainLayer(weight, np.array([1], np.int32), 2**25)
    current = drive(torch.ones(1, 1, 3, 1, 1, dtype=torch.bool), to_device(layer, num_steps=1, device=CPU))
    assert current.item() == 3 * (2**24 - 1) + 1 == naive.convolve(np.ones((3, 1, 1)), layer).item() + 1


def test_a_membrane_beyond_all_floats_is_refused():
    layer = ChainLayer(np.full((1, 1, 1, 1), 2**30, np.int32), np.zeros(1, np.int32), 1)
    to_device(layer, num_steps=2**23, device=CPU)
    with pytest.raises(SleepError, match=f"a membrane may reach {2**53 + 2**30} grid units"):
        to_device(layer, num_steps=2**23 + 1, device=CPU)
