import copy

import pytest
import torch
from architectures import images, networks
from hypothesis import HealthCheck, assume, given, settings
from sleepers import make_images, seeded, seen
from torch import nn

from sleepdefense.conversion import live_twin
from sleepdefense.conversion.watched_norms import watched_norms
from sleepdefense.errors import ConversionError
from sleepdefense.models import FCVAE, DefenseVAE
from sleepdefense.spiking import simulate
from sleepdefense.spiking.snntorch_backend import SnntorchBackend


@pytest.mark.slow
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(networks())
def test_with_the_prepared_weights_it_is_the_converted_network_bit_for_bit(model: nn.Module) -> None:
    try:
        twin = live_twin(model, images(8), percentile=100)
    except ConversionError as error:
        assume("silent" not in str(error))
        raise
    live = twin.of(model)
    for node in twin.network.nodes:
        if node.synapses is None:
            continue
        synapses = live.node(node.name).synapses
        assert torch.equal(synapses.weight, node.synapses.weight), node.name
        assert synapses.weight.requires_grad, node.name
        assert (synapses.bias is None) == (node.synapses.bias is None)
        assert node.synapses.bias is None or torch.equal(synapses.bias, node.synapses.bias), node.name


def test_every_weight_of_encoder_and_decoder_gets_a_gradient() -> None:
    model = seen(seeded(DefenseVAE, width=3, latent=3, size=8))
    network = live_twin(model, make_images(48)).of(model)
    outputs = simulate(network, make_images(8), num_steps=8, backend=SnntorchBackend()).outputs
    sum(value.square().sum() for value in outputs.values()).backward()
    for name, weight in model.named_parameters():
        assert weight.grad is not None, name
        assert float(weight.grad.abs().sum()) > 0, name


def test_a_gradient_through_the_scales_is_the_awake_one_where_nothing_spikes() -> None:
    """The log variance behind one layer of spikes: its own map is linear, so its gradient is exact.

    d result / d weight = mean rate * scale of the rate, which approaches the hidden activation.
    """
    model = seeded(FCVAE, hidden=6, latent=2, size=8)
    x = make_images(48)
    network = live_twin(model, x).of(model)
    simulate(network, x, num_steps=400, backend=SnntorchBackend()).outputs["log_variance"].sum().backward()
    found = model.log_variance.weight.grad.clone()
    model.zero_grad()
    model.encode(x)[1].sum().backward()
    expected = model.log_variance.weight.grad
    torch.testing.assert_close(found, expected, rtol=0.05, atol=0.01 * float(expected.abs().max()))


def test_the_twin_follows_the_weights_at_its_old_scales() -> None:
    model = seeded(FCVAE, hidden=6, latent=2, size=8)
    twin = live_twin(model, make_images(48))
    with torch.no_grad():
        model.mean.weight.mul_(2)
    moved = twin.of(model)
    assert torch.equal(moved.node("mean").synapses.weight, 2 * twin.network.node("mean").synapses.weight)
    assert [node.scale for node in moved.nodes] == [node.scale for node in twin.network.nodes]


def test_watched_norms_are_those_of_the_batch() -> None:
    """A network in training and its twin then do the same, although the running statistics lag behind."""
    model = seen(seeded(DefenseVAE, width=3, latent=3, size=8))
    x = make_images(48)
    twin = live_twin(model, x)
    model.train()
    with torch.no_grad():
        for norm in (module for module in model.modules() if isinstance(module, nn.BatchNorm2d)):
            norm.running_mean.fill_(3.0)
            norm.momentum = 0.0
        with watched_norms(model) as norms:
            awake, _ = model.encode(x)
        frozen = copy.deepcopy(model).eval()
        for name, module in frozen.named_modules():
            if name in norms:
                module.running_mean.copy_(norms[name].running_mean)
                module.running_var.copy_(norms[name].running_var)
        torch.testing.assert_close(frozen.encode(x)[0], awake, rtol=1e-4, atol=1e-5)
    live, expected = twin.of(model, norms), twin.of(frozen)
    for name, weight in expected.weights.items():
        if name.startswith("encoder"):
            torch.testing.assert_close(live.weights[name], weight, rtol=1e-5, atol=1e-6)
            torch.testing.assert_close(live.node(name).synapses.bias, expected.node(name).synapses.bias)
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_watching_ends_with_an_error() -> None:
    model = seen(seeded(DefenseVAE, width=3, latent=3, size=8))
    with pytest.raises(ZeroDivisionError), watched_norms(model):
        raise ZeroDivisionError
    assert not any(module._forward_pre_hooks for module in model.modules())
