"""How far the input of a unit is from where the unit no longer responds: the complementary functions.

Penalising this distance drives units into saturation.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from sleepdefense.errors import ConfigError

Complement = Callable[[Tensor], Tensor]
"""Takes inputs of units, any shape, to penalties >= 0 of that shape, differentiable."""


def _sigmoid(drive: Tensor) -> Tensor:
    rate = drive.sigmoid()
    return rate * (1 - rate)


COMPLEMENTS: dict[str, Complement] = {
    "relu": torch.relu,
    "relu6": lambda drive: torch.relu(torch.minimum(drive, 6 - drive)),
    "hardtanh": lambda drive: torch.relu(1 - drive.abs()),
    "hardsigmoid": lambda drive: torch.relu(3 - drive.abs()),
    "sigmoid": _sigmoid,
    "tanh": lambda drive: 1 - drive.tanh().square(),
    "softsign": lambda drive: (1 + drive.abs()).reciprocal().square(),
    "identity": lambda drive: drive,
}
"""Complementary function of each kind of unit.

Where a function is constant somewhere, this is Eq. 7, the distance to the nearest such place. Sigmoid, tanh
and softsign are so nowhere; since they are monotonic their slope takes its place, |s (1 - s)| for the
sigmoid, as the paper does. "identity" is the stronger penalty f(z) = z of the paper's convolutional network;
it has no lower bound.
"""


def complement_of(unit: str) -> Complement:
    """Return the complementary function of a kind of unit.

    Raises:
        ConfigError: There is none.
    """
    if unit not in COMPLEMENTS:
        raise ConfigError(
            f"units of the kind '{unit}' have no complementary function here: expected one of "
            f"{', '.join(COMPLEMENTS)}. `complementary` makes one for any function that is flat somewhere"
        )
    return COMPLEMENTS[unit]


def complementary(
    function: Callable[[Tensor], Tensor],
    *,
    low: float = -10.0,
    high: float = 10.0,
    points: int = 20_001,
    flat: float = 1e-6,
) -> Complement:
    """Return the complementary function of any scalar function.

        phi_c(z) = inf over z' in S of |z - z'|,    S = {z : phi'(z) = 0}

    S is looked for on a grid; below `low` and above `high` it goes on as at these ends.

    Args:
        function: phi, applied to each element, differentiable almost everywhere.
        low: Where the grid begins.
        high: Where it ends, > low.
        points: Of the grid, >= 2.
        flat: Largest slope that counts as none, >= 0.

    Returns:
        phi_c, with the slope 1 away from S and 0 within; off by no more than a step of the grid.

    Raises:
        ConfigError: The function is flat nowhere, or a setting is out of range.

    Source:
        Nayebi and Ganguli 2017, Eq. 7, after Goroshin and LeCun 2013.

    >>> complementary(torch.nn.functional.hardtanh)(torch.tensor([-2.0, -0.25, 0.0, 0.5])).round(decimals=2)
    tensor([0.0000, 0.7500, 1.0000, 0.5000])
    """
    if not low < high or points < 2 or not flat >= 0:
        raise ConfigError(f"expected low < high, points >= 2, flat >= 0: got {low}, {high}, {points}, {flat}")
    with torch.enable_grad():
        grid = torch.linspace(low, high, points, dtype=torch.float64).requires_grad_(True)
        (slope,) = torch.autograd.grad(function(grid).sum(), grid)
    is_flat = slope.abs() <= flat
    if not bool(is_flat.any()):
        raise ConfigError(
            f"the function is flat nowhere in [{low:g}, {high:g}]: its smallest slope is "
            f"{float(slope.abs().min()):.2g}, more than {flat:g}. Penalise its slope, as for a sigmoid"
        )
    resting = grid.detach()[is_flat]
    flat_below, flat_above = bool(is_flat[0]), bool(is_flat[-1])

    def distance(drive: Tensor) -> Tensor:
        known = resting.to(drive.dtype).to(drive.device)
        place = torch.searchsorted(known, drive.detach().contiguous())
        above = known[place.clamp(max=len(known) - 1)]
        below = known[(place - 1).clamp(min=0)]
        nearest = torch.where((drive - below).abs() <= (above - drive).abs(), below, above)
        away = (drive - nearest).abs()
        outside = (drive < low if flat_below else drive.new_zeros(drive.shape, dtype=torch.bool)) | (
            drive > high if flat_above else drive.new_zeros(drive.shape, dtype=torch.bool)
        )
        step = (high - low) / (points - 1)
        inside = (place > 0) & (place < len(known)) & ((above - below) <= 1.5 * step)
        return torch.where(outside | inside, torch.zeros_like(away), away)

    return distance
