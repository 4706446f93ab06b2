"""Attacks of foolbox 3.3.4 whose faults are cured here, so that their results do not depend on the batch."""

from typing import Any

import eagerpy as ep
import torch
from torch import Tensor
from typing_extensions import override

from sleepdefense.attacks.foolbox_import import fb

atleast_kd, flatten = fb.devutils.atleast_kd, fb.devutils.flatten


def _norm(images: Tensor) -> Tensor:
    """Return the L2 norm of each image, (batch, 1, 1, 1)."""
    norm: Tensor = images.flatten(1).norm(dim=1)
    return norm[:, None, None, None]


def clipping_aware_scale(image: Tensor, change: Tensor, length: Tensor) -> Tensor:
    """Return by what to multiply a change so that it has this L2 length after clipping to [0, 1], (batch,).

    The squared length is, between the scales at which one pixel after the other reaches its bound,
    quadratic in the scale; those are sorted and summed up.
    """
    room = torch.where(change > 0, 1.0 - image, image)
    size = change.abs().clamp(min=1e-12)
    at, order = (room / size).sort(dim=1)
    full = room.gather(1, order).square().cumsum(1)
    free = size.gather(1, order).square()
    free = free.sum(1, keepdim=True) - free.cumsum(1)
    reached = full + free * at.square()
    number = (reached < length.square()[:, None]).sum(1, keepdim=True)
    before = torch.nn.functional.pad(full, (1, 0)).gather(1, number)
    slope = torch.cat([size.square().sum(1, keepdim=True), free], 1).gather(1, number).clamp(min=1e-12)
    return ((length.square()[:, None] - before).clamp(min=0.0) / slope).sqrt().squeeze(1)


_OVERSHOOT = 1.001
"""FMN aims at the linearised boundary and, where that is exact, comes to stand on it, on the right side."""


class LinfFMN(fb.attacks.LInfFMNAttack):  # type: ignore[misc]
    """FMN in Linf that oversteps the boundary a little."""

    @override
    def project(self, x: Any, x0: Any, epsilon: Any) -> Any:
        return super().project(x, x0, epsilon * _OVERSHOOT)


class L1FMN(fb.attacks.L1FMNAttack):  # type: ignore[misc]
    """FMN in L1 that oversteps the boundary a little."""

    @override
    def project(self, x: Any, x0: Any, epsilon: Any) -> Any:
        return super().project(x, x0, epsilon * _OVERSHOOT)


class L2FMN(fb.attacks.L2FMNAttack):  # type: ignore[misc]
    """FMN in L2 that comes as far as its ball allows, and oversteps the boundary a little.

    foolbox divides a norm by itself where epsilon belongs, so nothing is projected. And clipping to [0, 1]
    after the projection shortens the step by as much as the ball had grown, so on images with much black and
    white the search never arrives: here the length is that after clipping.
    """

    @override
    def project(self, x: Any, x0: Any, epsilon: Any) -> Any:
        change = x - x0
        length = epsilon * _OVERSHOOT
        is_inside = flatten(change).norms.l2(axis=-1) <= length
        scale = clipping_aware_scale(x0.raw.flatten(1), change.raw.flatten(1), length.raw)
        scaled = change * type(x)(scale[:, None, None, None])
        return x0 + ep.where(atleast_kd(is_inside, x.ndim), change, scaled)


class L0FMN(fb.attacks.L0FMNAttack):  # type: ignore[misc]
    """FMN in L0 on images so small that it may change every pixel: foolbox then looks up one too many."""

    @override
    def project(self, x: Any, x0: Any, epsilon: Any) -> Any:
        last = flatten(x).shape[1] - 1
        return super().project(x, x0, ep.minimum(epsilon, last))


class SparseL1Descent(fb.attacks.SparseL1DescentAttack):  # type: ignore[misc]
    """Sparse L1 descent with an exact projection of those images alone that have left the ball.

    foolbox projects all images as soon as one has left, which moves the others out to the sphere.
    """

    @override
    def project(self, x: Any, x0: Any, epsilon: float) -> Any:
        radius = ep.full_like(flatten(x).sum(axis=-1), epsilon)
        return x0 + fb.attacks.fast_minimum_norm.project_onto_l1_ball(x - x0, radius)


class HopSkipJump(fb.attacks.HopSkipJumpAttack):  # type: ignore[misc]
    """HopSkipJump without three dependences on the batch, none of them meant by its authors.

    foolbox divides random directions, and the gradient estimated from them, by norms over the whole batch,
    and goes on halving for images that have arrived as long as one of the batch has not.
    """

    @override
    def approximate_gradients(self, is_adversarial: Any, x_advs: Any, steps: int, delta: Any) -> Any:
        at, reach = x_advs.raw, delta.raw[:, None, None, None]
        shape = (steps, *x_advs.shape)
        directions = (
            ep.normal(x_advs, shape) if self.constraint == "l2" else ep.uniform(x_advs, shape, -1.0, 1.0)
        ).raw
        total, side = torch.zeros_like(at), torch.zeros_like(reach)
        moved = torch.zeros_like(at)
        for direction in directions:
            unit = direction / (_norm(direction) + 1e-12)
            tried = (at + reach * unit).clamp(0.0, 1.0)
            taken = (tried - at) / (reach + 1e-8)
            vote = 2.0 * is_adversarial(type(x_advs)(tried)).raw.float()[:, None, None, None] - 1.0
            total, moved, side = total + vote * taken, moved + taken, side + vote
        # where all votes agree there is no difference to take: the mean of the directions it is
        mean = torch.where(side.abs() == steps, torch.zeros_like(side), side / steps)
        gradient = (total - mean * moved) / steps
        return type(x_advs)(gradient / (_norm(gradient) + 1e-12))

    @override
    def _binary_search(self, is_adversarial: Any, originals: Any, perturbed: Any) -> Any:
        size = flatten(originals).shape[1]
        if self.constraint == "linf":
            high = flatten(originals - perturbed).norms.linf(axis=-1).raw
            threshold = high * self.gamma / size**2
        else:
            high = torch.ones_like(originals.raw.flatten(1)[:, 0])
            threshold = high * self.gamma / size**1.5
        low = torch.zeros_like(high)
        goes_on = high - low > threshold
        while bool(goes_on.any()):
            middle = (low + high) / 2
            # a middle that is one of its ends: rounding allows no more
            goes_on &= (middle != low) & (middle != high)
            is_wrong = is_adversarial(self._at(originals, perturbed, middle)).raw
            high = torch.where(goes_on & is_wrong, middle, high)
            low = torch.where(goes_on & ~is_wrong, middle, low)
            goes_on &= high - low > threshold
        return self._at(originals, perturbed, high)

    def _at(self, originals: Any, perturbed: Any, epsilons: Tensor) -> Any:
        """Return the images between the true and the wrong ones, at these distances."""
        return self._project(originals, perturbed, type(originals)(epsilons))
