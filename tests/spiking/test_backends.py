"""snntorch, norse, plain torch and NumPy are the same neuron, spike by spike."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sleepdefense.spiking.backend import AbstractBackend, TorchBackend
from sleepdefense.spiking.snntorch_backend import SnntorchBackend

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from sleepdefense.spiking.norse_backend import NorseBackend

BACKENDS: tuple[AbstractBackend, ...] = (TorchBackend(), SnntorchBackend(), NorseBackend())
each_backend = pytest.mark.parametrize("backend", BACKENDS, ids=lambda backend: type(backend).__name__)


def numpy_neuron(current: NDArray[np.float64], threshold: float) -> tuple[NDArray, NDArray]:
    """Slow and obvious: one neuron at a time, one step at a time."""
    spikes, potentials = np.zeros_like(current), np.zeros_like(current)
    for neuron in range(current.shape[1]):
        membrane = 0.0
        for step in range(current.shape[0]):
            membrane += current[step, neuron]
            potentials[step, neuron] = membrane
            if membrane > threshold:
                spikes[step, neuron] = 1
                membrane -= threshold
    return spikes, potentials


def run(backend: AbstractBackend, current: NDArray[np.float64], threshold: float) -> tuple[NDArray, NDArray]:
    state, spikes, potentials = None, [], []
    for step in torch.from_numpy(current):
        result = backend.step(step.unsqueeze(0), state, threshold)
        state = result.state
        spikes.append(result.spikes[0].detach().numpy())
        potentials.append(result.potential[0].detach().numpy())
    return np.stack(spikes), np.stack(potentials)


@each_backend
@given(
    data=st.data(),
    threshold=st.sampled_from([1.0, 36.0, 23.0, 0.5]),
    drive=st.sampled_from([0.5, 1.0, 4.0]),
)
def test_every_simulator_gives_the_spikes_of_the_numpy_twin(
    backend: AbstractBackend, data: st.DataObject, threshold: float, drive: float
) -> None:
    """Currents are multiples of 2**-13 up to several thresholds, so ties with the threshold occur exactly."""
    reach = int(drive * threshold * 2**13)
    steps = data.draw(st.integers(1, 30))
    grid = st.integers(-reach, reach) | st.sampled_from([reach // 4, reach // 2, reach])
    rows = st.lists(st.lists(grid, min_size=3, max_size=3), min_size=steps, max_size=steps)
    current = np.array(data.draw(rows), dtype=np.float64) / 2**13
    spikes, potentials = run(backend, current, threshold)
    expected_spikes, expected_potentials = numpy_neuron(current, threshold)
    np.testing.assert_array_equal(spikes, expected_spikes)
    np.testing.assert_array_equal(potentials, expected_potentials)


@each_backend
def test_a_membrane_that_only_reaches_the_threshold_stays_silent(backend: AbstractBackend) -> None:
    """theta 1, current 1/2: membrane 0.5, 1.0 (a tie: no spike), 1.5 (spike, 0.5 left), 1.0, 1.5 (spike)."""
    spikes, potentials = run(backend, np.full((5, 1), 0.5), 1.0)
    assert spikes[:, 0].tolist() == [0, 0, 1, 0, 1]
    assert potentials[:, 0].tolist() == [0.5, 1.0, 1.5, 1.0, 1.5]


@each_backend
def test_a_drive_above_the_threshold_is_not_lost(backend: AbstractBackend) -> None:
    """Currents 2.5, 0.4: both steps spike, since 1.5 is left after the first (1.5 + 0.4 > 1)."""
    spikes, _ = run(backend, np.array([[2.5], [0.4], [0.0]]), 1.0)
    assert spikes[:, 0].tolist() == [1, 1, 0]


@pytest.mark.parametrize("backend", BACKENDS[1:], ids=lambda backend: type(backend).__name__)
def test_simulators_with_surrogates_pass_a_gradient(backend: AbstractBackend) -> None:
    current = torch.full((1, 4), 0.6, requires_grad=True)
    state, total = None, torch.zeros(())
    for _ in range(5):
        result = backend.step(current, state, 1.0)
        state, total = result.state, total + result.spikes.sum()
    total.backward()
    assert current.grad is not None
    assert bool((current.grad > 0).all())
