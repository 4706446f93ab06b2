import pytest
import torch
from torch import nn

from sleepdefense.models.defense_vae import DefenseVAE


@pytest.mark.parametrize("size", [4, 5, 7, 8, 11, 28, 31, 64])
@pytest.mark.parametrize("channels", [1, 3])
def test_reconstruction_has_the_size_of_the_image(size: int, channels: int) -> None:
    vae = DefenseVAE(width=2, channels=channels, size=size, latent=3).eval()
    image = torch.rand(2, channels, size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert vae(image).shape == image.shape


def test_published_shapes() -> None:
    vae = DefenseVAE()
    shapes = []
    image = torch.zeros(1, 1, 28, 28)
    for layer in vae.encoder:
        image = layer(image)
        if isinstance(layer, nn.Conv2d):
            shapes.append(tuple(image.shape[1:]))
    assert shapes == [(64, 28, 28), (64, 16, 16), (128, 8, 8), (256, 4, 4)]
    assert vae.mean.weight.shape == vae.log_variance.weight.shape == (128, 4096)
    twins = [layer for layer in vae.decoder if isinstance(layer, nn.ConvTranspose2d)]
    assert all(twin.output_padding == (0, 0) for twin in twins)


@pytest.mark.parametrize("size", [8, 28, 64])
def test_each_transposed_convolution_mirrors_a_convolution(size: int) -> None:
    vae = DefenseVAE(width=2, size=size, latent=3)
    for index in range(4):
        conv, twin = vae.encoder[3 * index], vae.decoder[3 * (3 - index)]
        assert isinstance(twin, nn.ConvTranspose2d)
        assert twin.weight.shape == conv.weight.shape
        assert (twin.stride, twin.padding) == (conv.stride, conv.padding)
        assert twin.bias is conv.bias is None


def test_weights_begin_as_in_the_source() -> None:
    torch_state = torch.random.get_rng_state()
    torch.manual_seed(0)
    vae = DefenseVAE(width=32)
    torch.random.set_rng_state(torch_state)
    # 65 536 weights: the standard deviation of their standard deviation is 0.02 / sqrt(131 072) = 6e-5.
    assert vae.encoder[9].weight.std().item() == pytest.approx(0.02, abs=4e-4)
    assert vae.decoder[0].weight.std().item() == pytest.approx(0.02, abs=4e-4)
    assert vae.encoder[10].weight.mean().item() == pytest.approx(1.0, abs=0.01)
    assert not vae.encoder[10].bias.any()
    # Linear maps keep torch's own start, uniform in 1/sqrt(inputs).
    assert vae.mean.weight.abs().max().item() <= 1 / vae.mean.in_features**0.5
