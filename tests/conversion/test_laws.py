"""What must hold for every network that converts, not only for ours."""

import copy
from collections.abc import Mapping

import pytest
import torch
from architectures import images, networks
from hypothesis import HealthCheck, assume, given, settings
from torch import Tensor, nn

from sleepdefense.conversion import to_awake, to_spiking
from sleepdefense.errors import ConversionError
from sleepdefense.spiking import SpikingNetwork, simulate

few = settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def convert(model: nn.Module, calibration: Tensor, percentile: float = 100.0) -> SpikingNetwork:
    try:
        return to_spiking(model, calibration, percentile=percentile)
    except ConversionError as error:
        assume("silent" not in str(error))
        raise


def results(value: Tensor | Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    return {"output": value} if isinstance(value, Tensor) else value


@pytest.mark.slow
@few
@given(networks())
def test_no_sleep_gives_back_the_awake_network_bit_for_bit(model: nn.Module) -> None:
    x = images(8)
    before = copy.deepcopy(model.state_dict())
    woken = to_awake(convert(model, x))
    for name, value in woken.state_dict().items():
        assert torch.equal(value, before[name]), name
        assert torch.equal(torch.signbit(value.float()), torch.signbit(before[name].float())), name
    for key, value in results(woken(x)).items():
        assert torch.equal(value, results(model(x))[key])


@pytest.mark.slow
@few
@given(networks())
def test_conversion_leaves_the_callers_model_alone(model: nn.Module) -> None:
    model.train()
    before = copy.deepcopy(model.state_dict())
    flags = [module.training for module in model.modules()]
    spiking = convert(model, images(8))
    simulate(spiking, images(2), num_steps=2)
    to_awake(spiking.with_weights({name: weight + 1 for name, weight in spiking.weights.items()}))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert flags == [module.training for module in model.modules()]
    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.slow
@few
@given(networks(smooth=False))
def test_the_rate_misses_the_activation_by_no_more_than_a_bound_over_the_number_of_steps(
    model: nn.Module,
) -> None:
    """For integrate-and-fire neurons with constant input current the count of every neuron obeys

        |count(T) - T clip(drive, 0, 1)| <= E,    E = 1 + max over neurons of sum |weight| E_in,

    with E_in = 0 for the image: the bound does not grow with T. With the largest activation of the same
    images as scale, nothing is clipped, so clip(drive, 0, 1) is the scaled awake activation.
    """
    x = images(4)
    spiking = convert(model, x)
    bound = count_bounds(spiking)
    awake = results(model(x))
    for num_steps in (8, 32):
        record = simulate(spiking, x, num_steps=num_steps)
        for key, name in spiking.outputs.items():
            node = spiking.node(name)
            slope = 0.25 if node.op == "sigmoid" else 1.0
            rounding = 0.02 * (1 + bound[name])  # weights act on a grid of 2**-13
            allowed = slope * node.scale * (bound[name] / num_steps + rounding)
            assert float((record.outputs[key] - awake[key].detach()).abs().max()) <= allowed


def count_bounds(network: SpikingNetwork) -> dict[str, float]:
    """E of the docstring above, node by node."""
    bound: dict[str, float] = {}
    for node in network.nodes:
        inputs = [gain * bound[name] for name, gain in zip(node.inputs, node.gains, strict=True)]
        if node.op == "input":
            bound[node.name] = 0.0
        elif node.synapses is not None:
            axes = {"conv_transpose2d": (0, 2, 3), "affine": ()}.get(
                node.synapses.kind, tuple(range(1, node.synapses.weight.ndim))
            )
            total = node.synapses.weight.abs().sum(axes) if axes else node.synapses.weight.abs()
            bound[node.name] = float(total.max()) * inputs[0]
        elif node.op == "fire":
            bound[node.name] = 1.0 + inputs[0]
        else:
            bound[node.name] = sum(inputs)
    return bound


@pytest.mark.slow
@few
@given(networks())
def test_a_batch_split_changes_no_bit(model: nn.Module) -> None:
    x = images(5)
    spiking = convert(model, x, 99.9)
    whole = simulate(spiking, x, num_steps=6, encoder="bernoulli", seed=3)
    for first, last in ((0, 2), (2, 5)):
        part = simulate(
            spiking, x[first:last], num_steps=6, encoder="bernoulli", seed=3, index=torch.arange(first, last)
        )
        for name, rate in part.rates.items():
            assert torch.equal(rate, whole.rates[name][first:last]), name
        for key, value in part.outputs.items():
            assert torch.equal(value, whole.outputs[key][first:last]), key
