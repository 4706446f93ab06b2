"""The pointwise attack: from a wrong image back to the true one, pixel by pixel, while it stays wrong."""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sleepdefense.shapes import Images

_SAME = 1e-8
"""Pixels that differ by less count as put back."""
_HALVINGS = 10

IsWrong = Callable[[Images, Tensor], Bool[Tensor, " part"]]
"""Tells which of some images (image, channel, height, width), whose rows are given, the model gets wrong."""


def pointwise(
    is_wrong: IsWrong,
    images: Images,
    starts: Images,
    generators: list[np.random.Generator],
) -> Images:
    """Put pixels back to their true values, as many as possible, while the image stays wrong.

    First each changed pixel in turn, in random order, is put back where that leaves the image wrong, round
    after round until nothing changes. Then the same, where a pixel that cannot be put back is moved as near
    to its true value as ten halvings find.

    Args:
        is_wrong: Asks the model.
        images: True images, (batch, channel, height, width), in [0, 1].
        starts: Images that the model gets wrong, shaped as `images`.
        generators: One for each image, which orders its pixels: so the batch does not matter.

    Returns:
        Images that the model gets wrong, shaped as `images`.

    Source:
        Schott et al. 2019; the order of foolbox 3.3.4.
    """
    attacked = starts.clone(memory_format=torch.contiguous_format)
    for halvings in (0, _HALVINGS):
        active = torch.arange(len(images), device=images.device)
        while len(active):
            improved = _round_(is_wrong, images, attacked, active, generators, halvings=halvings)
            active = active[improved[active]]
    return attacked


def _round_(
    is_wrong: IsWrong,
    images: Images,
    attacked_: Images,
    active: Tensor,
    generators: list[np.random.Generator],
    *,
    halvings: int,
) -> Bool[Tensor, " batch"]:
    """Try every changed pixel of the active images once; say which images came nearer."""
    true, flat = images.flatten(1), attacked_.flatten(1)
    improved = torch.zeros(len(images), dtype=torch.bool, device=images.device)
    smallest = _SAME if not halvings else 1e-12
    changed = ((true - flat).abs() > smallest)[active].cpu().numpy()
    orders = [
        generators[row].permutation(np.flatnonzero(mask))
        for row, mask in zip(active.tolist(), changed, strict=True)
    ]
    for turn in range(max(map(len, orders))):
        at = [number for number, order in enumerate(orders) if len(order) > turn]
        rows = active[torch.tensor(at, device=active.device)]
        pixels = torch.tensor([orders[number][turn] for number in at], device=active.device)
        old, back = flat[rows, pixels], true[rows, pixels]
        is_back = _ask(is_wrong, attacked_, rows, pixels, back)
        near = old
        if halvings and not bool(is_back.all()):
            far = back
            for _ in range(halvings):
                middle = (near + far) / 2
                stays_wrong = _ask(is_wrong, attacked_, rows, pixels, middle)
                near, far = torch.where(stays_wrong, middle, near), torch.where(stays_wrong, far, middle)
        flat[rows, pixels] = torch.where(is_back, back, near)
        improved[rows] |= is_back | (near != old)
    return improved


def _ask(
    is_wrong: IsWrong, attacked: Images, rows: Tensor, pixels: Tensor, values: Float[Tensor, " part"]
) -> Bool[Tensor, " part"]:
    """Ask about some images with one pixel of each changed."""
    tried = attacked[rows]
    tried.flatten(1)[torch.arange(len(rows)), pixels] = values
    return is_wrong(tried, rows)
