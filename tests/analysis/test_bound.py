import math

import pytest
import torch
from sleepers import make_images, seeded, seen

from sleepdefense.analysis import evidence_bound
from sleepdefense.conversion import to_spiking
from sleepdefense.errors import EvaluationError
from sleepdefense.models import FCVAE, DefenseVAE
from sleepdefense.models.vae import AbstractVAE
from sleepdefense.spiking import SpikingNetwork, simulate

CLEAN = make_images(12, seed=3)
NOISY = (CLEAN + 0.1 * torch.randn(CLEAN.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)


@pytest.fixture(scope="module", params=["fc", "conv"])
def awake(request: pytest.FixtureRequest) -> AbstractVAE:
    if request.param == "fc":
        return seeded(FCVAE, hidden=12, latent=3, size=8)
    return seen(seeded(DefenseVAE, width=3, latent=3, size=8))


@pytest.fixture(scope="module")
def spiking(awake: AbstractVAE) -> SpikingNetwork:
    return to_spiking(awake, torch.cat([CLEAN, NOISY]), percentile=100)


def test_at_the_mean_it_is_what_models_and_sleeps_call_the_bound(
    awake: AbstractVAE, spiking: SpikingNetwork
) -> None:
    with torch.no_grad():
        expected = awake.elbo(awake.outputs(NOISY), CLEAN)
        outputs = simulate(spiking, NOISY, num_steps=16).outputs
        slept = awake.elbo({name: value.float() for name, value in outputs.items()}, CLEAN)
    torch.testing.assert_close(evidence_bound(awake, NOISY, CLEAN).elbo.float(), expected)
    torch.testing.assert_close(evidence_bound(spiking, NOISY, CLEAN, num_steps=16).elbo.float(), slept)


def test_the_terms_have_their_signs_and_add_up(spiking: SpikingNetwork) -> None:
    bound = evidence_bound(spiking, NOISY, CLEAN, num_steps=8, draws=2)
    assert bound.reconstruction.shape == bound.divergence.shape == (12,)
    assert bool((bound.reconstruction < 0).all())
    assert bool((bound.divergence >= 0).all())
    assert torch.equal(bound.elbo, bound.reconstruction - bound.divergence)


def test_the_spiking_bound_approaches_the_awake_one(awake: AbstractVAE, spiking: SpikingNetwork) -> None:
    """The same z for both: its random numbers belong to the image."""
    expected = evidence_bound(awake, NOISY, CLEAN, draws=3, seed=1)
    misses = []
    for steps in (2, 16, 128):
        found = evidence_bound(spiking, NOISY, CLEAN, draws=3, seed=1, num_steps=steps)
        misses.append(float((found.elbo - expected.elbo).abs().mean()))
    assert misses[0] > misses[1] > misses[2]
    assert misses[2] < 0.02 * float(expected.elbo.abs().mean())


def test_draws_are_averages_of_samples_of_the_posterior() -> None:
    """A decoder that copies z to its one pixel: E[log sigmoid(z)], z ~ N(m, s^2), by numbers."""
    model = FCVAE(hidden=1, latent=1, size=1).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
        model.mean.bias.fill_(0.5)
        model.log_variance.bias.fill_(2.0)
        model.decoder[0].weight.fill_(1.0)
        model.decoder[0].bias.fill_(40.0)  # so that the rectifier lets everything through
        model.decoder[2].weight.fill_(1.0)
        model.decoder[2].bias.fill_(-40.0)
    white = torch.ones(1, 1, 1, 1)
    found = evidence_bound(model, white, white, draws=1000).reconstruction
    z = torch.linspace(-19, 20, 20001, dtype=torch.float64)
    density = torch.distributions.Normal(0.5, math.e).log_prob(z).exp()
    expected = torch.trapezoid(density * torch.nn.functional.logsigmoid(z), z)
    # 1000 draws of a standard deviation below 2: five standard errors
    assert float(found) == pytest.approx(float(expected), abs=5 * 2 / 1000**0.5)
    at_mean = evidence_bound(model, white, white).reconstruction
    assert float(at_mean) == pytest.approx(float(torch.nn.functional.logsigmoid(torch.tensor(0.5))), abs=1e-5)


def test_a_train_is_worth_its_steps(spiking: SpikingNetwork) -> None:
    """The mean log-probability of a step approaches that of the image; the divergence is paid once."""
    image = evidence_bound(spiking, NOISY, CLEAN, num_steps=100)
    train = evidence_bound(spiking, NOISY, CLEAN, num_steps=100, target="train")
    torch.testing.assert_close(train.reconstruction / 100, image.reconstruction, rtol=0.08, atol=0.0)
    assert not torch.equal(train.reconstruction / 100, image.reconstruction)
    assert torch.equal(train.divergence, image.divergence)


@pytest.mark.parametrize("target", ["image", "train"])
def test_an_image_has_the_same_bound_in_every_batch(
    spiking: SpikingNetwork, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"num_steps": 6, "draws": 2, "target": target, "encoder": "bernoulli", "seed": 4}
    whole = evidence_bound(spiking, NOISY, CLEAN, **options)
    part = evidence_bound(spiking, NOISY[5:9], CLEAN[5:9], first=5, **options)
    torch.testing.assert_close(part.elbo, whole.elbo[5:9], rtol=1e-12, atol=1e-12)
    monkeypatch.setattr("sleepdefense.analysis.bound.BATCH", 5)
    again = evidence_bound(spiking, NOISY, CLEAN, **options).elbo
    torch.testing.assert_close(again, whole.elbo, rtol=1e-12, atol=1e-12)
    other = evidence_bound(spiking, NOISY, CLEAN, **{**options, "seed": 5}).elbo
    assert not torch.allclose(other, whole.elbo)


def test_wrong_requests_are_refused(spiking: SpikingNetwork) -> None:
    with pytest.raises(EvaluationError, match="expected draws >= 0, num_steps >= 1 and first >= 0, got -1"):
        evidence_bound(spiking, NOISY, CLEAN, draws=-1, num_steps=1)
    with pytest.raises(EvaluationError, match="unknown target 'pixel': expected image or train"):
        evidence_bound(spiking, NOISY, CLEAN, target="pixel")
