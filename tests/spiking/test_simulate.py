import math

import pytest
import torch
from architectures import images
from torch import nn

from sleepdefense.conversion import to_spiking
from sleepdefense.errors import ConversionError
from sleepdefense.spiking import Moment, SpikingNetwork, simulate, simulate_from
from sleepdefense.spiking.snntorch_backend import SnntorchBackend


def small(unit: type[nn.Module] = nn.ReLU) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return nn.Sequential(
            nn.Conv2d(2, 3, 3, padding=1), unit(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(48, 4)
        ).eval()


@pytest.fixture
def spiking() -> SpikingNetwork:
    return to_spiking(small(), images(16), percentile=100)


def test_snntorch_layers_give_the_spikes_of_plain_torch(spiking: SpikingNetwork) -> None:
    seen: dict[str, list[torch.Tensor]] = {"torch": [], "snntorch": []}

    def observe(where: str):
        return lambda moment: seen[where].append(moment.signals["1"].detach())

    x = images(4)
    simulate(spiking, x, num_steps=12, observe=observe("torch"))
    simulate(spiking, x, num_steps=12, observe=observe("snntorch"), backend=SnntorchBackend())
    assert torch.equal(torch.stack(seen["torch"]), torch.stack(seen["snntorch"]))
    assert float(torch.stack(seen["torch"]).sum()) > 0


def test_a_gradient_passes_through_the_snntorch_network(spiking: SpikingNetwork) -> None:
    x = images(2).requires_grad_()
    record = simulate(spiking, x, num_steps=8, backend=SnntorchBackend())
    record.outputs["output"][:, 0].sum().backward()
    assert x.grad is not None
    assert float(x.grad.abs().sum()) > 0


def test_max_pooling_passes_the_largest_count(spiking: SpikingNetwork) -> None:
    counts, pooled = torch.zeros(3, 3, 8, 8), torch.zeros(3, 3, 4, 4)

    def observe(moment: Moment) -> None:
        counts.add_(moment.signals["1"])
        pooled.add_(moment.signals["2"])
        assert torch.equal(pooled, nn.functional.max_pool2d(counts, 2))

    simulate(spiking, images(3), num_steps=10, observe=observe)


def test_the_random_spikes_of_an_image_follow_its_number_not_its_place(spiking: SpikingNetwork) -> None:
    x = images(4)
    all_at_once = simulate(spiking, x, num_steps=5, encoder="bernoulli", seed=1)
    backwards = simulate(
        spiking, x.flip(0), num_steps=5, encoder="bernoulli", seed=1, index=torch.tensor([3, 2, 1, 0])
    )
    assert torch.equal(all_at_once.rates["1"], backwards.rates["1"].flip(0))
    other_seed = simulate(spiking, x, num_steps=5, encoder="bernoulli", seed=2)
    assert not torch.equal(all_at_once.rates["1"], other_seed.rates["1"])


@pytest.mark.parametrize("unit", [nn.Sigmoid, nn.Tanh])
def test_stochastic_neurons_are_exact_in_the_mean(unit: type[nn.Module]) -> None:
    """The mean of n = 64 * 400 draws has a standard error below 1 / (2 * sqrt(n)); allow six of them."""
    model = nn.Sequential(nn.Linear(3, 2), unit(), nn.Linear(2, 1)).eval()
    x = torch.tensor([[0.2, 0.9, 0.4]]).expand(64, 3)
    network = to_spiking(model, x)
    record = simulate(network, x, num_steps=400, seed=5)
    expected = model[1](model[0](x[:1])).detach()
    allowed = 6 * (1 if unit is nn.Tanh else 0.5) / math.sqrt(64 * 400) + 1e-3
    assert float((record.rates["1"].mean(0, keepdim=True) - expected).abs().max()) < allowed


def test_wrong_requests_are_refused(spiking: SpikingNetwork) -> None:
    with pytest.raises(ConversionError, match="'num_steps' must be >= 1, got 0"):
        simulate(spiking, images(1), num_steps=0)
    with pytest.raises(ConversionError, match="unknown encoder 'poisson'"):
        simulate(spiking, images(1), num_steps=1, encoder="poisson")
    with pytest.raises(ConversionError, match=r"converted for images of shape \(2, 8, 8\), got \(1, 8, 8\)"):
        simulate(spiking, images(1)[:, :1], num_steps=1)


def test_weights_of_another_shape_are_refused(spiking: SpikingNetwork) -> None:
    with pytest.raises(ConversionError, match=r"node '0' has weights of shape \(3, 2, 3, 3\), got \(1,\)"):
        spiking.with_weights({"0": torch.zeros(1)})
    with pytest.raises(ConversionError, match="no node 'nowhere'"):
        spiking.with_weights({"nowhere": torch.zeros(1)})


def test_a_run_goes_on_from_a_latent_only() -> None:
    class Chain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.middle, self.last = nn.Linear(3, 4), nn.Linear(4, 2), nn.Linear(2, 3)

        def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
            hidden = torch.relu(self.first(x))
            code = self.middle(hidden)
            return {"hidden": hidden, "code": code, "out": self.last(code)}

    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = to_spiking(Chain().eval(), torch.rand(16, 3))
    x = torch.rand(5, 3, generator=torch.Generator().manual_seed(1))
    whole = simulate(network, x, num_steps=7)
    code, hidden = network.outputs["code"], network.outputs["hidden"]
    part = simulate_from(network, {code: whole.means[code]}, num_steps=7)
    assert set(part.outputs) == {"out"}
    assert torch.equal(part.outputs["out"], whole.outputs["out"])
    with pytest.raises(ConversionError, match=rf"'{hidden}' alone do not decide what is wanted"):
        simulate_from(network, {hidden: whole.means[hidden]}, num_steps=7)
    with pytest.raises(ConversionError, match=r"alone do not decide what is wanted: expected nodes that are"):
        simulate_from(network, {code: whole.means[code]}, num_steps=7, until={hidden})
    with pytest.raises(ConversionError, match=r"has units of shape \(2,\), got \(3,\)"):
        simulate_from(network, {code: x}, num_steps=7)
    with pytest.raises(ConversionError, match="'given' names no node"):
        simulate_from(network, {}, num_steps=7)
    with pytest.raises(ConversionError, match="'num_steps' must be >= 1, got 0"):
        simulate_from(network, {code: whole.means[code]}, num_steps=0)
