import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck

from sleepdefense.errors import ConfigError
from sleepdefense.training.complementary import COMPLEMENTS, complement_of, complementary

DRIVE = torch.linspace(-9.3, 9.3, 187, dtype=torch.float64)


@pytest.mark.parametrize(
    ("unit", "function"),
    [("relu", torch.relu), ("relu6", F.relu6), ("hardtanh", F.hardtanh), ("hardsigmoid", F.hardsigmoid)],
)
def test_closed_form_is_the_distance_to_the_nearest_flat_place(unit, function) -> None:  # type: ignore[no-untyped-def]
    found = complementary(function, points=40_001)(DRIVE)
    torch.testing.assert_close(complement_of(unit)(DRIVE), found, rtol=0, atol=2e-3)


def test_a_single_flat_point_is_found() -> None:
    away = complementary(torch.square, low=-10, high=10, points=20_001)(DRIVE)
    torch.testing.assert_close(away, DRIVE.abs(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("unit", ["sigmoid", "tanh", "softsign"])
def test_smooth_units_take_their_slope(unit: str) -> None:
    drive = DRIVE.clone().requires_grad_(True)
    function = {"sigmoid": torch.sigmoid, "tanh": torch.tanh, "softsign": F.softsign}[unit]
    (slope,) = torch.autograd.grad(function(drive).sum(), drive)
    torch.testing.assert_close(COMPLEMENTS[unit](DRIVE), slope.abs())


@pytest.mark.parametrize("unit", sorted(COMPLEMENTS))
def test_gradients_are_right(unit: str) -> None:
    assert gradcheck(COMPLEMENTS[unit], torch.tensor([-7.3, -1.7, 0.4, 2.6, 7.1]).double().requires_grad_())


def test_the_general_form_descends_into_saturation() -> None:
    drive = torch.tensor([0.3, -0.4, 5.0], requires_grad=True)
    complementary(F.hardtanh)(drive).sum().backward()
    assert drive.grad is not None
    assert torch.equal(drive.grad.sign(), torch.tensor([-1.0, 1.0, 0.0]))


def test_what_is_flat_nowhere_is_an_error() -> None:
    with pytest.raises(ConfigError, match="the function is flat nowhere in"):
        complementary(F.leaky_relu)
    with pytest.raises(ConfigError, match="units of the kind 'elu' have no complementary function"):
        complement_of("elu")
