import pytest
import torch
from torch import Tensor, nn

from sleepdefense.attacks.eot import EOT, DrawsOnce, one_draw
from sleepdefense.attacks.losses import LOSSES, attack_loss
from sleepdefense.attacks.noise import derive_seed
from sleepdefense.errors import ConfigError
from sleepdefense.models import FCVAE
from sleepdefense.models.vae import AbstractVAE

IMAGES = torch.rand(5, 1, 4, 4, generator=torch.Generator().manual_seed(0))


class Noisy(nn.Module):
    """Logits with noise from an argument, the same for all images."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(16, 3)
        with torch.no_grad():
            self.linear.weight.copy_(torch.linspace(-1, 1, 48).reshape(3, 16))

    def one_draw(self, images: Tensor, *, seed: int) -> Tensor:
        noise = torch.randn(1, 3, generator=torch.Generator().manual_seed(seed))
        return self.linear(images.flatten(1)) * (1 + noise)

    def forward(self, images: Tensor) -> Tensor:
        return self.one_draw(images, seed=1)


class NoisyOutside(nn.Module):
    """Noise from torch's global generator."""

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1)[:, :3] + torch.randn(len(images), 3)


class Sampled(nn.Module):
    """A classifier behind a variational autoencoder whose latent is drawn."""

    def __init__(self, vae: AbstractVAE, classifier: nn.Module) -> None:
        super().__init__()
        self.vae = vae
        self.classifier = classifier

    def one_draw(self, images: Tensor, *, seed: int) -> Tensor:
        mean, log_variance = self.vae.encode(images)
        noise = torch.randn(1, mean.shape[1], generator=torch.Generator().manual_seed(seed))
        return self.classifier(torch.sigmoid(self.vae.decode(mean + torch.exp(0.5 * log_variance) * noise)))

    def forward(self, images: Tensor) -> Tensor:
        return self.one_draw(images, seed=0)


def sampled() -> Sampled:
    torch.manual_seed(0)
    vae = FCVAE(hidden=8, latent=4, size=4).eval()
    return Sampled(vae, nn.Sequential(nn.Flatten(), nn.Linear(16, 3))).eval()


@pytest.mark.parametrize("model", [Noisy(), NoisyOutside(), sampled()], ids=["own", "global", "latent"])
def test_draws_are_numbered_and_the_logits_are_their_mean(model: nn.Module) -> None:
    eot = EOT(model, draws=4, seed=3)
    draws = eot.logit_draws(IMAGES)
    assert draws.shape == (4, 5, 3)
    assert torch.equal(draws, eot.logit_draws(IMAGES))
    assert torch.equal(eot(IMAGES), draws.mean(0))
    assert torch.equal(draws[:2], EOT(model, draws=2, seed=3).logit_draws(IMAGES))
    assert not torch.equal(draws, EOT(model, draws=4, seed=4).logit_draws(IMAGES))
    assert all(not torch.equal(draws[0], other) for other in draws[1:])
    assert torch.equal(draws[1], one_draw(model, IMAGES, seed=derive_seed(3, "draw 1")))


@pytest.mark.parametrize("model", [Noisy(), sampled()], ids=["own", "latent"])
def test_draws_do_not_depend_on_the_batch(model: nn.Module) -> None:
    eot = EOT(model, draws=3)
    whole = eot.logit_draws(IMAGES)
    order = torch.tensor([4, 0, 2])
    torch.testing.assert_close(eot.logit_draws(IMAGES[order]), whole[:, order])


def test_the_global_generator_is_left_as_it_was() -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    EOT(NoisyOutside(), draws=2)(IMAGES)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("kind", ["ce", "margin"])
def test_the_loss_is_averaged_over_the_draws(kind: str) -> None:
    labels = torch.tensor([0, 1, 2, 0, 1])
    eot = EOT(Noisy(), draws=6)
    found = attack_loss(eot, IMAGES, labels, kind)
    expected = torch.stack([LOSSES[kind](logits, labels) for logits in eot.logit_draws(IMAGES)]).mean(0)
    torch.testing.assert_close(found, expected)
    leaf = IMAGES.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(attack_loss(eot, leaf, labels, kind).sum(), leaf)
    assert bool((gradient != 0).flatten(1).any(1).all())


def test_the_mean_approaches_the_expectation() -> None:
    # 400 draws of logits (1 + N(0, 1)): the mean's deviation is 1/20 of the noiseless logit, 5 sigma allowed
    model = Noisy()
    noiseless = model.linear(IMAGES.flatten(1))
    found = EOT(model, draws=400)(IMAGES)
    assert bool(((found - noiseless).abs() <= 0.25 * noiseless.abs()).all())


def test_which_models_say_where_their_randomness_comes_from() -> None:
    assert isinstance(Noisy(), DrawsOnce)
    assert not isinstance(NoisyOutside(), DrawsOnce)


def test_draws_are_counted() -> None:
    with pytest.raises(ConfigError, match="'draws' must be >= 1, got 0"):
        EOT(Noisy(), draws=0)
