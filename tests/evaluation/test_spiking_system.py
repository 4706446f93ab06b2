import pickle

import pytest
import torch
from quadrants import make_images
from torch import Tensor, nn

from sleepdefense.attacks.any_of import AnyOf
from sleepdefense.attacks.eot import EOT
from sleepdefense.attacks.fingerprint import module_digest
from sleepdefense.attacks.losses import attack_loss
from sleepdefense.conversion import to_spiking
from sleepdefense.errors import ConfigError
from sleepdefense.evaluation.spiking_system import DRAWS, SpikingSystem
from sleepdefense.models import FCVAE
from sleepdefense.spiking import SpikingNetwork, simulate
from sleepdefense.spiking.snntorch_backend import SnntorchBackend

IMAGES, LABELS = make_images(12).images, make_images(12).labels
EPSILON = 0.3


def classifier() -> nn.Module:
    """Which quarter is brightest, as in `Quadrants`, with a hidden layer of neurons that can spike."""
    quarter = torch.zeros(4, 2, 4, 2, 4)
    for number in range(4):
        quarter[number, number // 2, :, number % 2, :] = 1 / 16
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.ReLU(), nn.Linear(4, 4))
    with torch.no_grad():
        network[1].weight.copy_(10 * quarter.reshape(4, 64))
        network[1].bias.zero_()
        network[3].weight.copy_(torch.eye(4))
        network[3].bias.zero_()
    return network.eval()


@pytest.fixture
def network() -> SpikingNetwork:
    return to_spiking(classifier(), IMAGES)


@pytest.fixture
def purifier() -> SpikingNetwork:
    torch.manual_seed(0)
    return to_spiking(FCVAE(hidden=12, latent=4, size=8).eval(), IMAGES)


def attacked_through(surface: nn.Module) -> Tensor:
    """Take ten steps up the loss, within EPSILON."""
    attacked = IMAGES.clone()
    for _ in range(10):
        leaf = attacked.clone().requires_grad_(True)
        (gradient,) = torch.autograd.grad(attack_loss(surface, leaf, LABELS, "margin").sum(), leaf)
        attacked = attacked + EPSILON / 4 * gradient.sign()
        attacked = attacked.clamp(IMAGES - EPSILON, IMAGES + EPSILON).clamp(0, 1).detach()
    return attacked


def right(model: nn.Module, images: Tensor) -> int:
    with torch.no_grad():
        return int((model(images).argmax(1) == LABELS).sum())


def test_logits_are_those_of_a_simulation(network: SpikingNetwork) -> None:
    system = SpikingSystem(network, num_steps=16)
    expected = simulate(network, IMAGES, num_steps=16).outputs["output"].float()
    assert torch.equal(system(IMAGES), expected)
    assert right(system, IMAGES) == len(IMAGES)


@pytest.mark.parametrize("encoder", ["current", "bernoulli"])
def test_logits_do_not_depend_on_batch_or_surrogate(network: SpikingNetwork, encoder: str) -> None:
    system = SpikingSystem(network, num_steps=8, encoder=encoder)
    whole = system(IMAGES)
    order = torch.tensor([7, 0, 3])
    assert torch.equal(system(IMAGES[order]), whole[order])
    leaf = IMAGES.clone().requires_grad_(True)
    for slope in (0.5, 8.0):
        assert torch.equal(system.with_slope(slope)(leaf).detach(), whole)


@pytest.mark.parametrize("encoder", ["current", "bernoulli"])
@pytest.mark.parametrize("slope", [0.5, 2.0, 8.0])
def test_attacks_through_every_surrogate_break_the_network(
    network: SpikingNetwork, encoder: str, slope: float
) -> None:
    system = SpikingSystem(network, num_steps=8, encoder=encoder)
    surface = system.with_slope(slope)
    seen = surface if encoder == "current" else EOT(surface, draws=4)
    assert right(system, IMAGES) == len(IMAGES)
    assert right(system, attacked_through(seen)) <= 2
    noise = EPSILON * torch.randn(IMAGES.shape, generator=torch.Generator().manual_seed(0)).sign()
    assert right(system, (IMAGES + noise).clamp(0, 1)) >= 8  # a change of this size alone does not


def test_slopes_change_the_gradient_as_the_surrogate_says() -> None:
    for slope in (0.5, 2.0, 8.0):
        current = torch.tensor([[0.3, 0.99, 1.4]], dtype=torch.float64, requires_grad=True)
        result = SnntorchBackend(slope).step(current, None, 1.0)
        (gradient,) = torch.autograd.grad(result.spikes.sum(), current)
        distance = current.detach() - 1.0
        expected = slope / 2 / (1 + (torch.pi / 2 * slope * distance) ** 2)
        torch.testing.assert_close(gradient, expected, rtol=1e-6, atol=0)


def test_the_system_itself_has_no_surrogate(network: SpikingNetwork) -> None:
    leaf = IMAGES.clone().requires_grad_(True)
    assert not SpikingSystem(network, num_steps=4)(leaf).requires_grad


def test_a_sweep_is_judged_by_the_network_and_knows_its_twin(network: SpikingNetwork) -> None:
    system = SpikingSystem(network, num_steps=8)
    sweep = system.surrogate_sweep((1.0, 4.0))
    assert isinstance(sweep, AnyOf)
    assert sweep.judge is system
    assert sweep.names == ("slope-1", "slope-4", "awake")
    assert torch.equal(sweep.members[2](IMAGES), classifier()(IMAGES))
    surfaces = system.attack_surfaces()
    assert list(surfaces) == ["white-box", "adaptive"]
    assert isinstance(surfaces["white-box"], SpikingSystem)
    assert surfaces["white-box"].slope == 2.0


def test_random_trains_are_averaged(network: SpikingNetwork) -> None:
    system = SpikingSystem(network, num_steps=16, encoder="bernoulli", seed=5)
    surfaces = system.attack_surfaces()
    for surface in (surfaces["white-box"], *list(surfaces["adaptive"].members)[:-1]):
        assert isinstance(surface, EOT)
        assert surface.draws == DRAWS
    with torch.no_grad():
        draws = surfaces["white-box"].logit_draws(IMAGES)
    assert all(not torch.equal(draw, system(IMAGES)) for draw in draws)


def test_a_purifier_needs_what_classifies_its_images(purifier: SpikingNetwork) -> None:
    with pytest.raises(ConfigError, match="image, mean, log_variance: a purifier needs a 'classifier'"):
        SpikingSystem(purifier)
    behind = classifier()
    system = SpikingSystem(purifier, behind, num_steps=8)
    purified = simulate(purifier, IMAGES, num_steps=8).outputs["image"].float()
    assert torch.equal(system(IMAGES), behind(purified))
    twin = system.surrogate_sweep((2.0,)).members[1]
    torch.testing.assert_close(twin(IMAGES), behind(purifier.awake(IMAGES)))
    leaf = IMAGES.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(system.with_slope(2.0)(leaf).sum(), leaf)
    assert bool(gradient.any())


def test_systems_that_differ_can_be_told_apart(network: SpikingNetwork) -> None:
    name, weight = next(iter(network.weights.items()))
    systems = [
        SpikingSystem(network),
        SpikingSystem(network, num_steps=8),
        SpikingSystem(network, encoder="bernoulli"),
        SpikingSystem(network, seed=1),
        SpikingSystem(network, slope=1.0),
        SpikingSystem(network.with_weights({name: weight * 0.5})),
        SpikingSystem(to_spiking(classifier(), IMAGES, percentile=50)),
    ]
    assert len({module_digest(system) for system in systems}) == len(systems)
    assert module_digest(SpikingSystem(network)) == module_digest(systems[0])


def test_a_system_survives_a_pickle(network: SpikingNetwork) -> None:
    system = SpikingSystem(network, num_steps=8)
    again = pickle.loads(pickle.dumps(system))
    assert torch.equal(again(IMAGES), system(IMAGES))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_steps": 0}, "expected num_steps >= 1, seed >= 0 and slope > 0, got 0, 0 and None"),
        ({"slope": -1.0}, "got 64, 0 and -1.0"),
        ({"encoder": "latency"}, "unknown encoder 'latency': expected one of current, bernoulli"),
    ],
)
def test_wrong_settings_are_named(network: SpikingNetwork, settings: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SpikingSystem(network, **settings)
