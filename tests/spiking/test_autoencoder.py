import pytest
import torch
from sleepers import make_images, seeded, seen, spiking
from torch import nn

from sleepdefense.conversion import to_spiking
from sleepdefense.errors import ConversionError
from sleepdefense.models import FCVAE, DefenseVAE
from sleepdefense.spiking import SpikingNetwork, decode, encode, simulate
from sleepdefense.spiking.snntorch_backend import SnntorchBackend


@pytest.fixture(scope="module", params=["fc", "conv"])
def network(request: pytest.FixtureRequest) -> SpikingNetwork:
    if request.param == "fc":
        return spiking(seeded(FCVAE, hidden=12, latent=3, size=8))
    return spiking(seen(seeded(DefenseVAE, width=3, latent=3, size=8)))


@pytest.mark.parametrize("encoder", ["current", "bernoulli"])
def test_the_two_halves_are_the_whole_bit_for_bit(network: SpikingNetwork, encoder: str) -> None:
    images = make_images(4)
    whole = simulate(network, images, num_steps=9, encoder=encoder, seed=3).outputs
    mean, log_variance = encode(network, images, num_steps=9, encoder=encoder, seed=3)
    decoded = decode(network, mean, num_steps=9, seed=3)
    assert torch.equal(mean, whole["mean"])
    assert torch.equal(log_variance, whole["log_variance"])
    assert torch.equal(decoded.image, whole["image"])
    torch.testing.assert_close(torch.sigmoid(decoded.logits), decoded.image)
    assert float(decoded.logits.std()) > 0


def test_the_decoder_approaches_the_awake_one(network: SpikingNetwork) -> None:
    """Means of images that calibrated it, so that no unit is driven beyond its scale."""
    awake = network.awake
    latent, _ = awake.encode(make_images(48)[:8])
    expected = awake.decode(latent).double()
    errors = []
    for steps in (4, 32, 256):
        found = decode(network, latent, num_steps=steps).logits
        errors.append(float((found - expected).square().mean()))
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.02 * float(expected.square().mean())


def test_gradients_reach_image_and_latent(network: SpikingNetwork) -> None:
    images = make_images(2).requires_grad_()
    mean, log_variance = encode(network, images, num_steps=6, backend=SnntorchBackend())
    decode(network, mean, num_steps=6, backend=SnntorchBackend()).logits.square().sum().backward()
    assert images.grad is not None
    assert float(images.grad.abs().sum()) > 0
    assert log_variance.requires_grad


def test_a_latent_of_another_size_is_refused(network: SpikingNetwork) -> None:
    with pytest.raises(ConversionError, match=r"has units of shape \(3,\), got \(4,\)"):
        decode(network, torch.zeros(2, 4), num_steps=2)


def test_a_classifier_is_no_autoencoder() -> None:
    model = seeded(lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 9), nn.ReLU(), nn.Linear(9, 2)))
    network = to_spiking(model, make_images(8), percentile=100)
    expected = "the network gives output, without image, mean, log_variance: expected a converted variational"
    for call in (
        lambda: encode(network, make_images(1), num_steps=1),
        lambda: decode(network, torch.zeros(1, 2), num_steps=1),
    ):
        with pytest.raises(ConversionError, match=expected):
            call()


class Bare(FCVAE):
    """Its pixels are logits."""

    def outputs(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        mean, log_variance = self.encode(image)
        return {"image": self.decode(mean), "mean": mean, "log_variance": log_variance}


def test_pixels_that_are_no_probabilities_are_refused() -> None:
    network = spiking(seeded(Bare, hidden=12, latent=3, size=8))
    with pytest.raises(ConversionError, match="expected a sigmoid: they are no probabilities"):
        decode(network, torch.zeros(1, 3), num_steps=1)
