import pytest
import torch
from architectures import images
from torch import Tensor, nn

from sleepdefense.conversion import conversion_report, to_spiking
from sleepdefense.conversion.folding import fold
from sleepdefense.conversion.scales import ActivityHistogram
from sleepdefense.errors import ConversionError
from sleepdefense.spiking import simulate


@pytest.mark.parametrize("layer", [nn.Conv2d(2, 3, 3), nn.ConvTranspose2d(2, 3, 4, 2, 1, bias=False)])
def test_folding_is_exact(layer: nn.Module) -> None:
    norm = nn.BatchNorm2d(3).eval()
    nn.init.uniform_(norm.running_mean, -1, 1)
    nn.init.uniform_(norm.running_var, 0.1, 2)
    nn.init.uniform_(norm.weight, -2, 2)
    nn.init.uniform_(norm.bias, -1, 1)
    x = images(4)
    weight, bias = fold(layer, norm, "layer")
    assert bias is not None
    with torch.no_grad():
        expected = norm(layer(x))
        layer.bias = nn.Parameter(bias.float())
        layer.weight.copy_(weight)
        torch.testing.assert_close(layer(x), expected, rtol=1e-5, atol=1e-5)


def test_a_known_network_has_known_scales_and_weights() -> None:
    """Weights 2, 3 on pixels up to 1: activations up to 2 and 6, so weights become 2 * 1/2 and 3 * 2/6."""
    model = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.ReLU(), nn.Conv2d(1, 1, 1), nn.ReLU())
    with torch.no_grad():
        model[0].weight.fill_(2.0)
        model[2].weight.fill_(3.0)
        model[2].bias.fill_(0.0)
    x = torch.tensor([0.0, 0.25, 0.5, 1.0]).reshape(1, 1, 2, 2)
    network = to_spiking(model, x, percentile=100)
    assert [network.node(name).scale for name in ("1", "3")] == [2.0, 6.0]
    assert network.weights["0"].item() == 1.0
    assert network.weights["2"].item() == 1.0
    # 8 steps of drive 0, 1/4, 1/2, 1: strictly above 1 first at steps 5, 3, 2, then every 4, 2, 1 steps
    counts = simulate(network, x, num_steps=8).rates["1"] * 8
    assert counts.flatten().tolist() == [0.0, 1.0, 3.0, 7.0]


@pytest.mark.parametrize("percentile", [50.0, 90.0, 99.9, 100.0])
def test_percentiles_come_from_positive_entries_to_a_thousandth(percentile: float) -> None:
    values = torch.randn(5000, generator=torch.Generator().manual_seed(0)).abs() ** 3
    mixed = torch.cat([values, torch.zeros(9000), -values])
    one, two = ActivityHistogram(), ActivityHistogram()
    one.add(mixed)
    for part in mixed.flip(0).split(777):
        two.add(part)
    place = int(percentile / 100 * 5000)
    ordered = values.sort().values.tolist()
    found = one.percentile(percentile)
    assert found == two.percentile(percentile)
    assert ordered[max(place - 2, 0)] * 0.999 <= found <= ordered[min(place + 1, 4999)] * 1.001


def test_a_silent_unit_is_named() -> None:
    model = nn.Sequential(nn.Conv2d(2, 2, 1), nn.ReLU(), nn.Conv2d(2, 2, 1))
    with torch.no_grad():
        model[0].weight.fill_(0.0)
        model[0].bias.fill_(-1.0)
    with pytest.raises(ConversionError, match="unit '1' is silent: no activation above 0 over 4 images"):
        to_spiking(model, images(4))


def test_wrong_calibration_is_refused() -> None:
    model = nn.Sequential(nn.Conv2d(2, 2, 1), nn.ReLU())
    with pytest.raises(ConversionError, match=r"'percentile' must be in \(0, 100\], got 0"):
        to_spiking(model, images(4), percentile=0)
    with pytest.raises(ConversionError, match="'calibration' holds no images"):
        to_spiking(model, images(4)[:0])


class Treacherous(nn.Module):
    """An in-place ReLU on a value that another branch still uses: tracing cannot see the change."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        value = self.conv(x)
        torch.relu_(value)
        return value + x


def test_a_network_that_tracing_misreads_is_refused() -> None:
    model = Treacherous()
    nn.init.constant_(model.conv.weight, -1.0)
    with pytest.raises(ConversionError, match="do not reproduce the network's 'output'"):
        to_spiking(model, images(4))


def test_the_report_says_what_became_of_every_layer() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Dropout(0.1), nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3)
        )
    network = to_spiking(model, images(32), percentile=95)
    report = conversion_report(network, images(32), num_steps=(4, 64))
    fates = {layer.name: layer.fate for layer in report.layers}
    assert fates["1"] == "synapses, 2 folded in"
    assert fates["3"] == "integrate-and-fire neurons"
    assert fates["5"] == "synapses; read from the membrane"
    unit = next(layer for layer in report.layers if layer.name == "3")
    assert unit.clipped == pytest.approx(0.05, abs=0.005)
    assert unit.rate is not None
    assert unit.error[64] < unit.error[4]
    assert unit.correlation[64] > 0.98
    assert report.removed[0][0] == "0"
    assert "0                        removed: Dropout does nothing" in str(report)


def test_a_layer_that_is_silent_asleep_is_an_error() -> None:
    model = nn.Sequential(nn.Conv2d(2, 2, 1), nn.ReLU())
    nn.init.ones_(model[0].weight)
    network = to_spiking(model, images(8))
    silenced = network.with_weights({"0": -network.weights["0"].abs() - 10})
    with pytest.raises(ConversionError, match="layer '1' is silent: no spike in 4 steps"):
        conversion_report(silenced, images(8), num_steps=(4,))
