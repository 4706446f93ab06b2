import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sleepdefense.analysis import drive_distributions, excess_kurtosis, weight_distributions
from sleepdefense.errors import EvaluationError
from sleepdefense.models import SaturatingCNN, SigmoidMLP
from sleepdefense.models.layer_activity import layer_activity


@given(st.lists(st.floats(-1e3, 1e3, width=32), min_size=4, max_size=50))
def test_kurtosis_is_that_of_scipy(values: list[float]) -> None:
    if np.ptp(values) < 1e-2:
        return
    expected = stats.kurtosis(np.array(values), fisher=True, bias=True)
    assert excess_kurtosis(torch.tensor(values, dtype=torch.float64)) == pytest.approx(expected, rel=1e-6)


def test_kurtosis_of_known_distributions() -> None:
    uniform = torch.linspace(-1, 1, 100_001, dtype=torch.float64)
    assert excess_kurtosis(uniform) == pytest.approx(-1.2, abs=1e-3)
    laplace = torch.from_numpy(stats.laplace.ppf((np.arange(10**6) + 0.5) / 10**6))
    assert excess_kurtosis(laplace) == pytest.approx(3.0, abs=0.01)


def test_equal_numbers_have_no_kurtosis() -> None:
    with pytest.raises(EvaluationError, match="5 equal numbers have no kurtosis"):
        excess_kurtosis(torch.ones(5))


def test_weights_are_described_layer_by_layer() -> None:
    model = SaturatingCNN(width=2, size=8)
    found = weight_distributions(model, bins=11)
    assert [each.layer for each in found] == ["layers.0", "layers.3", "layers.7", "layers.9"]
    weight = model.layers[3].weight.detach().double().numpy()
    assert found[1].count == weight.size
    assert found[1].deviation == pytest.approx(weight.std())
    assert (found[1].lowest, found[1].highest) == (weight.min(), weight.max())
    assert found[1].excess_kurtosis == pytest.approx(stats.kurtosis(weight.ravel()))
    assert float((found[1].density * np.diff(found[1].edges)).sum()) == pytest.approx(1)


def test_a_network_without_weights_is_named() -> None:
    with pytest.raises(EvaluationError, match="a Flatten has no linear map"):
        weight_distributions(torch.nn.Flatten())


def test_drives_are_counted_over_all_images() -> None:
    model = SigmoidMLP(hidden=7, size=4)
    with torch.no_grad():
        model.layers[1].weight *= 40
        images = torch.rand(1100, 1, 4, 4)  # more than are shown at once
        first = layer_activity(model, images)[0].drive
    found = drive_distributions(model, images, bins=20)
    assert [each.unit for each in found] == ["sigmoid", "sigmoid", "identity"]
    assert found[0].count == 7 * 1100
    assert (found[0].lowest, found[0].highest) == pytest.approx((float(first.min()), float(first.max())))
    assert float(found[0].share.sum()) == pytest.approx(1)
    expected, _ = np.histogram(first.double().numpy(), bins=found[0].edges)
    assert np.abs(found[0].share * found[0].count - expected).sum() <= 4  # rounding at the edges of bins
    slope = first.sigmoid() * (1 - first.sigmoid())
    assert found[0].saturated == pytest.approx(float((slope < 1e-3).double().mean()), abs=1e-3)
    assert found[0].saturated > 0.3
    assert np.isnan(found[2].saturated)


def test_saturated_relu_units_are_the_silent_ones() -> None:
    model = SaturatingCNN(width=2, size=4)
    images = torch.rand(3, 1, 4, 4)
    with torch.no_grad():
        drive = layer_activity(model, images)[0].drive
    assert drive_distributions(model, images)[0].saturated == pytest.approx(
        float((drive <= 0).double().mean())
    )
