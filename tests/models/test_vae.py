import math

import pytest
import torch

from sleepdefense.models.fc_vae import FCVAE
from sleepdefense.models.vae import kl_divergence


def _outputs(pixel: float, mean: float, log_variance: float) -> dict[str, torch.Tensor]:
    return {
        "image": torch.full((2, 1, 2, 2), pixel),
        "mean": torch.full((2, 3), mean),
        "log_variance": torch.full((2, 3), log_variance),
    }


def test_bound_by_hand() -> None:
    # Four pixels of probability 1/4 for a clean value of 1: 4 log(1/4). Three units with mean 2 and
    # variance e: KL = 3/2 (4 + e - 1 - 1).
    bound = FCVAE(size=2, hidden=2, latent=3).elbo(_outputs(0.25, 2.0, 1.0), torch.ones(2, 1, 2, 2))
    expected = -4 * math.log(4) - 1.5 * (2 + math.e)
    torch.testing.assert_close(bound, torch.full((2,), expected))


def test_bound_of_a_certain_pixel_is_finite() -> None:
    bound = FCVAE(size=2, hidden=2, latent=3).elbo(_outputs(1.0, 0.0, 0.0), torch.zeros(2, 1, 2, 2))
    torch.testing.assert_close(bound, torch.full((2,), -400.0))


def test_divergence_agrees_with_torch() -> None:
    generator = torch.Generator().manual_seed(0)
    mean = torch.randn(4, 5, generator=generator)
    log_variance = torch.randn(4, 5, generator=generator)
    latent = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    standard = torch.distributions.Normal(torch.zeros(4, 5), torch.ones(4, 5))
    expected = torch.distributions.kl_divergence(latent, standard).sum(1)
    torch.testing.assert_close(kl_divergence(mean, log_variance), expected)


@pytest.mark.parametrize("kl_weight", [0.0, 1.0, 2.5])
def test_loss_is_the_weighted_bound_of_a_sure_latent(kl_weight: float) -> None:
    """Without variance z is the mean, and the loss is the bound's two terms, the second one weighted."""
    vae = FCVAE(size=4, hidden=3, latent=2, kl_weight=kl_weight).eval()
    torch.nn.init.zeros_(vae.log_variance.weight)
    torch.nn.init.constant_(vae.log_variance.bias, -80.0)  # a standard deviation of e^-40
    image = torch.rand(3, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    clean = image.round()
    with torch.no_grad():
        loss = vae.loss(image, clean, torch.zeros(3, dtype=torch.int64), generator=torch.Generator())
        outputs = vae.outputs(image)
        divergence = kl_divergence(outputs["mean"], outputs["log_variance"])
        expected = -(vae.elbo(outputs, clean) + divergence) + kl_weight * divergence
    torch.testing.assert_close(loss, expected.mean())


def test_loss_of_extreme_weights_is_finite() -> None:
    vae = FCVAE(size=4, hidden=3, latent=2)
    with torch.no_grad():
        vae.decoder[2].bias.fill_(1e6)
    image = torch.zeros(2, 1, 4, 4)
    loss = vae.loss(image, image, torch.zeros(2, dtype=torch.int64), generator=torch.Generator())
    assert loss.isfinite()
