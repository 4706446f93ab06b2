import numpy as np
import pytest
import torch
from scipy.stats import kstest
from sleepers import make_images, seeded, seen, spiking
from torch import nn

from sleepdefense.conversion import to_spiking
from sleepdefense.errors import ConversionError
from sleepdefense.models import FCVAE, DefenseVAE
from sleepdefense.spiking import SpikingNetwork, decode, prior_latents, reconstruct, sample


@pytest.fixture(scope="module", params=["fc", "conv"])
def network(request: pytest.FixtureRequest) -> SpikingNetwork:
    if request.param == "fc":
        return spiking(seeded(FCVAE, hidden=12, latent=3, size=8))
    return spiking(seen(seeded(DefenseVAE, width=3, latent=3, size=8)))


def test_reconstructions_approach_the_awake_ones_as_steps_are_added(network: SpikingNetwork) -> None:
    images = make_images(48)
    with torch.no_grad():
        awake = network.awake(images)
    errors = [float((reconstruct(network, images, steps) - awake).square().mean()) for steps in (2, 16, 128)]
    assert errors[0] > errors[1] > errors[2]
    spread = float((awake - 0.5).square().mean())  # what a decoder that says nothing would miss
    assert errors[2] < 0.05 * spread


def test_a_reconstruction_does_not_depend_on_the_batch(
    network: SpikingNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = make_images(7)
    whole = reconstruct(network, images, 5, encoder="bernoulli", seed=2)
    assert whole.dtype == torch.float32
    assert whole.shape == images.shape
    part = reconstruct(network, images[3:6], 5, encoder="bernoulli", seed=2, first=3)
    assert torch.equal(part, whole[3:6])
    monkeypatch.setattr("sleepdefense.spiking.generate.BATCH", 3)
    assert torch.equal(reconstruct(network, images, 5, encoder="bernoulli", seed=2), whole)
    assert not torch.equal(reconstruct(network, images, 5, encoder="bernoulli", seed=1), whole)


def test_samples_follow_seed_and_number_alone(
    network: SpikingNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    ten = sample(network, 10, seed=4, num_steps=6)
    assert ten.shape == (10, 1, 8, 8)
    assert bool(((ten >= 0) & (ten <= 1)).all())
    with torch.random.fork_rng():
        torch.manual_seed(123)
        np.random.default_rng(7)
        assert torch.equal(sample(network, 4, seed=4, num_steps=6), ten[:4])
    assert torch.equal(sample(network, 3, seed=4, num_steps=6, first=5), ten[5:8])
    monkeypatch.setattr("sleepdefense.spiking.generate.BATCH", 4)
    assert torch.equal(sample(network, 10, seed=4, num_steps=6), ten)
    assert not torch.equal(sample(network, 10, seed=5, num_steps=6), ten)


def test_samples_are_decoded_latents_of_the_prior(network: SpikingNetwork) -> None:
    latents = prior_latents(5, 3, seed=1)
    expected = decode(network, latents, num_steps=7).image.float()
    assert torch.equal(sample(network, 5, seed=1, num_steps=7), expected)
    assert len(expected.flatten(1).unique(dim=0)) > 1


def test_the_prior_is_the_standard_normal_distribution() -> None:
    """Kolmogorov-Smirnov on fixed numbers: right draws fall below 0.001 once in a thousand seeds."""
    latents = prior_latents(500, 20, seed=0)
    assert kstest(latents.flatten().numpy(), "norm").pvalue > 1e-3
    correlation = np.corrcoef(latents.numpy(), rowvar=False)
    assert np.abs(correlation - np.eye(20)).max() < 5 / 500**0.5


def test_nothing_global_moves() -> None:
    before = torch.random.get_rng_state()
    prior_latents(3, 2, seed=0)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("wrong", [{"num": 0}, {"units": 0}, {"seed": -1}, {"first": -1}, {"seed": 2**63}])
def test_wrong_numbers_are_named(wrong: dict[str, int]) -> None:
    with pytest.raises(ConversionError, match=r"expected num >= 1, units >= 1, seed in \[0, 2\*\*63\)"):
        prior_latents(**{"num": 1, "units": 1, "seed": 0, **wrong})


def test_what_gives_no_image_is_refused() -> None:
    model = seeded(lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 9), nn.ReLU(), nn.Linear(9, 2)))
    network = to_spiking(model, make_images(8), percentile=100)
    with pytest.raises(ConversionError, match="the network gives output: expected an 'image'"):
        reconstruct(network, make_images(1), 2)
