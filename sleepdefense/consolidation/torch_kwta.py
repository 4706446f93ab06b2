"""k-winners-take-all in many images, or steps of images, at once."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from sleepdefense.errors import SleepError

_LARGEST = 2**63 - 1


def check_claims(num_steps: int, highest: int, num_neurons: int) -> None:
    """Refuse a layer whose claims, with the places of its neurons, do not fit 63 bits.

    Raises:
        SleepError: They do not.
    """
    if num_steps * (highest + 1) * num_neurons > _LARGEST:
        raise SleepError(
            f"{num_neurons} neurons with potentials up to {highest} grid units, in {num_steps} steps, "
            "cannot be ranked in 63 bits: take fewer steps"
        )


def claims(
    spikes: Bool[Tensor, "time image feature height width"],
    potential: Float[Tensor, "time image feature height width"],
    *,
    first_step: int,
    num_steps: int,
    highest: int,
) -> Int64[Tensor, "time image feature height width"]:
    """Turn every spike into one number to compete with: the earlier, and then the higher, the larger.

    The largest over time is that of the first spike.

    Args:
        spikes: (time, image, feature, height, width).
        potential: Before the reset, whole numbers; of the same shape.
        first_step: Step of the first entry.
        num_steps: Length of the whole train.
        highest: What no potential exceeds.

    Returns:
        (num_steps - 1 - step) * (highest + 1) + potential where there is a spike, else -1.
    """
    step = torch.arange(first_step, first_step + len(spikes), device=spikes.device)
    head_start = (num_steps - 1 - step) * (highest + 1)
    claim = potential.long() + head_start[:, None, None, None, None]
    return torch.where(spikes, claim, -1)


def step_of(claim: Int64[Tensor, " winner"], *, num_steps: int, highest: int) -> Int64[Tensor, " winner"]:
    """Return the step of the spikes that such claims were made of."""
    return num_steps - 1 - claim // (highest + 1)


def select_winners(
    claim: Int64[Tensor, "sample feature height width"], *, k: int, radius: int
) -> Int64[Tensor, "winner 5"]:
    """Choose up to k neurons of each sample, as `kernels.select_winners` does for one.

    Args:
        claim: From `claims`, (sample, feature, height, width): the largest wins, of equal ones the lowest
            (feature, row, column); below 0: takes no part.
        k: Most winners, >= 1.
        radius: Reach of the inhibition, in pixels, >= 0; 0: only the winner's feature map.

    Returns:
        Rows (sample, feature, row, column, claim), sample by sample in the order of selection.
    """
    _, features, height, width = claim.shape
    num_neurons, area = features * height * width, height * width
    place = torch.arange(num_neurons - 1, -1, -1, device=claim.device).view(features, height, width)
    key = torch.where(claim >= 0, claim * num_neurons + place, -1)  # no two are equal, but of the silent
    key = F.pad(key, (radius, radius, radius, radius), value=-1)  # so that no window is cut
    sample = torch.arange(len(claim), device=claim.device)
    window = torch.arange(2 * radius + 1, device=claim.device)
    best = []
    for _ in range(min(k, features)):
        best.append(key.flatten(1).amax(1))
        neuron = num_neurons - 1 - best[-1] % num_neurons
        key[sample, neuron // area] = -1
        if radius > 0:
            rows = (neuron % area // width)[:, None] + window
            columns = (neuron % width)[:, None] + window
            key[sample[:, None, None], :, rows[:, :, None], columns[:, None, :]] = -1
    found = torch.stack(best, dim=1)
    won = found >= 0
    neuron = num_neurons - 1 - found[won] % num_neurons
    return torch.stack(
        [
            won.nonzero()[:, 0],
            neuron // area,
            neuron % area // width,
            neuron % width,
            found[won] // num_neurons,
        ],
        dim=1,
    )
