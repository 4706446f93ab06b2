import pytest
import torch
from architectures import images
from torch import Tensor, nn

from sleepdefense.conversion import to_awake, to_spiking
from sleepdefense.errors import ConversionError
from sleepdefense.spiking import simulate


def normed() -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = nn.Sequential(
            nn.Conv2d(2, 3, 3, bias=False),
            nn.BatchNorm2d(3),
            nn.ReLU(),
            nn.ConvTranspose2d(3, 4, 4, stride=2, padding=1),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(4 * 144, 5),
        )
        for norm in (model[1], model[4]):
            nn.init.uniform_(norm.running_mean, -0.3, 0.3)
            nn.init.uniform_(norm.running_var, 0.3, 2.0)
            nn.init.uniform_(norm.weight, 0.5, 1.5)
    return model.eval()


@pytest.mark.parametrize("name", ["0", "3", "7"])
def test_a_change_asleep_is_the_same_change_awake(name: str) -> None:
    """Doubling the spiking weights of a layer without bias terms must double the awake weights."""
    model = normed()
    network = to_spiking(model, images(16))
    slept = network.with_weights({name: 2 * network.weights[name]})
    woken = dict(to_awake(slept).named_modules())
    before = dict(model.named_modules())
    torch.testing.assert_close(woken[name].weight, 2 * before[name].weight, rtol=1e-5, atol=1e-7)
    for other in {"0", "3", "7"} - {name}:
        assert torch.equal(woken[other].weight, before[other].weight)


def test_the_woken_network_converts_to_the_network_that_slept() -> None:
    model = normed()
    network = to_spiking(model, images(16))
    generator = torch.Generator().manual_seed(0)
    noise = {
        key: weight + 0.1 * torch.randn(weight.shape, generator=generator)
        for key, weight in network.weights.items()
    }
    slept = network.with_weights(noise)
    back = to_spiking(to_awake(slept), images(16))
    for key, node in ((node.name, node) for node in back.nodes if node.synapses is not None):
        source = back.node(node.inputs[0])
        factor = (network.node(key).scale / node.scale) * (source.scale / network.node(node.inputs[0]).scale)
        torch.testing.assert_close(back.weights[key], slept.weights[key] * factor, rtol=1e-4, atol=1e-5)


def test_a_channel_that_its_norm_silences_keeps_its_weights() -> None:
    model = normed()
    with torch.no_grad():
        model[1].weight[1] = 0.0
        model[1].bias.fill_(0.1)
    network = to_spiking(model, images(16))
    woken = to_awake(network.with_weights({"0": network.weights["0"] + 1.0}))
    changed: Tensor = woken[0].weight != model[0].weight
    assert changed[0].all()
    assert changed[2].all()
    assert not changed[1].any()


def test_weights_that_are_not_finite_do_not_wake() -> None:
    network = to_spiking(normed(), images(16))
    broken = network.with_weights({"0": torch.full_like(network.weights["0"], torch.nan)})
    with pytest.raises(ConversionError, match="layer '0' slept into weights that are not finite"):
        to_awake(broken)


def test_networks_on_sequences_convert_and_come_back() -> None:
    """One-dimensional convolutions, norms and pools, and a batch norm behind a linear map."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        model = nn.Sequential(
            nn.Conv1d(3, 4, 3, padding=1),
            nn.BatchNorm1d(4),
            nn.ReLU(),
            nn.MaxPool1d(2),
            nn.Conv1d(4, 5, 3),
            nn.ReLU(),
            nn.AvgPool1d(2),
            nn.Flatten(),
            nn.Linear(15, 6),
            nn.BatchNorm1d(6),
            nn.ReLU(),
            nn.Linear(6, 2),
        )
        nn.init.uniform_(model[1].running_mean, -0.3, 0.3)
        nn.init.uniform_(model[9].running_var, 0.3, 2.0)
    model.eval()
    x = torch.rand(12, 3, 16, generator=torch.Generator().manual_seed(1))
    network = to_spiking(model, x, percentile=100)
    woken = to_awake(network).state_dict()
    assert all(torch.equal(woken[name], value) for name, value in model.state_dict().items())
    with torch.no_grad():
        awake = model(x)
    errors = [
        float((simulate(network, x, num_steps=steps).outputs["output"] - awake).abs().max())
        for steps in (16, 1024)
    ]
    assert errors[1] < 0.02 * float(awake.abs().max())
    assert errors[1] < errors[0] / 8
