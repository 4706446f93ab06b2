import pytest
import torch
from torch import Tensor, nn

from sleepdefense.errors import ConfigError, ConversionError
from sleepdefense.models import Binarised, BinaryCNN, build_model
from sleepdefense.models.binarised import ALPHAS, BinarisesInput, StraightThrough, binarise, binary_proxies
from sleepdefense.models.stages import trace_stages

PIXELS = torch.tensor([0.0, 0.2, 0.49999997, 0.5, 0.7, 1.0]).reshape(1, 1, 2, 3)


class Weighted(nn.Module):
    """Two logits: a weighted sum of the pixels, and its negative."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.arange(1.0, 7.0))

    def forward(self, image: Tensor) -> Tensor:
        total = (image.flatten(1) * self.weight).sum(1, keepdim=True)
        return torch.cat([total, -total], dim=1)


def test_pixels_from_the_threshold_on_are_white() -> None:
    # pixels 4, 5 and 6 are at least 0.5: 4 + 5 + 6
    assert Binarised(Weighted())(PIXELS).tolist() == [[15.0, -15.0]]
    assert Binarised(Weighted(), threshold=0.7)(PIXELS).tolist() == [[11.0, -11.0]]


def test_a_binarised_network_gives_no_gradient() -> None:
    image = PIXELS.clone().requires_grad_(True)
    logits = Binarised(Weighted())(image)
    (gradient,) = torch.autograd.grad(logits.sum(), image, allow_unused=True)
    assert gradient is None


@pytest.mark.parametrize("name", list(binary_proxies(nn.Identity(), 0.5)))
def test_every_proxy_has_a_gradient_and_shares_the_weights(name: str) -> None:
    network = Weighted()
    proxy = Binarised(network).proxies()[name]
    image = PIXELS.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(proxy(image)[:, 0].sum(), image)
    # the steep sigmoids are flat, to the last bit of a float32, where a pixel is white already
    assert bool((gradient[PIXELS < 0.7] > 0).all())
    assert bool((gradient >= 0).all())
    assert next(proxy.parameters()) is network.weight


def test_sigmoids_are_those_of_the_paper() -> None:
    proxies = binary_proxies(Weighted(), 0.5)
    assert [float(name.removeprefix("sigmoid-")) for name in list(proxies)[:5]] == list(ALPHAS)
    # 1/(1 + exp(-20 (x - 0.5))), pixel by pixel
    expected = sum(i / (1 + torch.exp(-20 * (x - 0.5))) for i, x in enumerate(PIXELS.flatten(), start=1))
    torch.testing.assert_close(proxies["sigmoid-20"](PIXELS)[0, 0], expected)


def test_straight_through_computes_exactly_what_the_threshold_does() -> None:
    images = torch.rand(50, 1, 2, 3, generator=torch.Generator().manual_seed(0)).requires_grad_(True)
    proxy = StraightThrough(Weighted(), 0.5)
    assert torch.equal(proxy(images), Binarised(Weighted())(images))
    (gradient,) = torch.autograd.grad(proxy(images)[:, 0].sum(), images)
    assert torch.equal(gradient[0].flatten(), torch.arange(1.0, 7.0))


def test_the_binary_cnn_is_the_vanilla_cnn_on_black_and_white_images() -> None:
    model = build_model("binary-cnn", {"width": 2, "size": 12, "threshold": 0.3}, seed=0).eval()
    assert isinstance(model, BinaryCNN)
    assert isinstance(model, BinarisesInput)
    assert isinstance(Binarised(Weighted()), BinarisesInput)
    assert not isinstance(Weighted(), BinarisesInput)
    images = torch.rand(4, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(model(images), model.network(binarise(images, 0.3)))
    assert "threshold=0.3" in str(model)


@pytest.mark.parametrize("threshold", [0.0, 1.5, float("nan")])
def test_thresholds_are_intensities(threshold: float) -> None:
    with pytest.raises(ConfigError, match=r"'threshold' of model 'binary-cnn' must be in \(0, 1\]"):
        BinaryCNN(threshold=threshold)
    with pytest.raises(ConfigError, match=r"'threshold' of model 'binarised' must be in \(0, 1\]"):
        Binarised(Weighted(), threshold)


def test_a_binarised_network_does_not_sleep() -> None:
    with pytest.raises(ConversionError, match=r"operation 'ge'.*no spiking counterpart"):
        trace_stages(BinaryCNN(width=2, size=12), torch.zeros(1, 1, 12, 12))
