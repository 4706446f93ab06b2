"""G2: the gradient is the derivative of what the model computes, on the scale of an attack's steps."""

import copy

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor, nn

from sleepdefense.attacks.gradient import evaluation_mode
from sleepdefense.attacks.losses import attack_loss
from sleepdefense.attacks.noise import normal_noise
from sleepdefense.evaluation.checks.finding import Verdict, skipped
from sleepdefense.evaluation.checks.metering import metered
from sleepdefense.evaluation.checks.subject import FAILURES, Subject, own_randomness
from sleepdefense.evaluation.systems import Model, device_of
from sleepdefense.shapes import Images, Labels

STEPS = (1e-3, 1e-2)
"""Lengths h of the finite differences, in L2. Source: robustness checklist, G2."""

LARGEST_ERROR = 0.1
"""Median relative error of the better of the two. Source: robustness checklist, G2."""

SMALLEST_COSINE = 0.3
"""Of the gradient with an evolution-strategies estimate of it. Source: robustness checklist, G2."""

SMOOTHING = 0.02
"""Standard deviation of a pixel in that estimate: a fifteenth of the usual Linf budget of 0.3."""

_LOSS = "margin"  # the cross-entropy is flat wherever the classifier is sure


def check_gradient_right(subject: Subject, threat_model: str) -> Verdict:
    """Compare the gradient g of the margin l with how l really changes.

        error(h)  = median of |(l(x + h v) - l(x - h v)) / 2h - g.v| / (|g.v| + 1e-8),    |v|_2 = 1
        cosine    = median over images of cos(a, b),
                    a_k = l(x + s u_k) - l(x - s u_k),    b_k = g.u_k,    u_k normal,    s = 0.02

    Fails if the error exceeds 0.1 for both h of 1e-3 and 1e-2, or the cosine is below 0.3. The first finds
    wrong gradients, the second also those that are right at a point and useless an attack's step away. The
    cosine is taken among the slopes along the u_k: an estimate of the gradient itself from so few directions
    would be at an angle to the true one for lack of directions alone.

    Float64 is used where a copy of the module runs in it. On an adaptive surface, whose gradient is a
    stand-in on purpose, a difference is reported but is no fault.

    Args:
        subject: What is examined.
        threat_model: Which surface.

    Returns:
        The verdict.

    Source:
        Carlini et al. 2019, checklist (numerical gradients); Salimans et al. 2017 for the estimate.
    """
    probed = min(subject.config.num_probed, subject.num_images)
    images, labels = subject.images[:probed], subject.labels[:probed]
    index = subject.index[:probed].numpy()
    surface = subject.system.surfaces[threat_model]
    if _is_random(subject, surface, images):
        return skipped(
            "The model answers at random, so differences of its answers are no derivative (see G4)."
        )
    model, dtype = _in_float64(surface, images)
    probe = _Probe(metered(model, subject.meter), images.to(dtype), labels, subject.seed)
    gradient = probe.gradient()
    if gradient is None or not bool(gradient.isfinite().all()):
        return skipped("There is no finite gradient to compare with (see G1).")
    if float(gradient.flatten(1).norm(dim=1).median()) == 0:
        return skipped("There is no gradient to compare with (see G1).")
    errors: dict[float, list[Tensor]] = {h: [] for h in STEPS}
    slopes, expected = [], []
    for number in range(subject.config.num_directions):
        noise = normal_noise(
            index, tuple(images.shape[1:]), seed=subject.seed, stream=f"check/direction/{number}"
        ).to(dtype)
        along = (gradient * noise).flatten(1).sum(1)
        slopes.append(probe.difference(SMOOTHING * noise))
        expected.append(along)
        if number >= _NUM_EXACT:
            continue
        length = noise.flatten(1).norm(dim=1)
        unit = noise / length[:, None, None, None]
        exact = along / length
        for h in STEPS:
            measured = probe.difference(h * unit) / (2 * h)
            errors[h].append((measured - exact).abs() / (exact.abs() + 1e-8))
    error = min(float(torch.stack(values).median()) for values in errors.values())
    cosine = float(_cosine(torch.stack(slopes), torch.stack(expected)).median())
    return _verdict(error, cosine, threat_model, dtype)


_NUM_EXACT = 4
"""Directions for the finite differences; more change the median little."""


def _verdict(error: float, cosine: float, threat_model: str, dtype: torch.dtype) -> Verdict:
    """Put the two numbers into words."""
    numbers = (
        f"finite differences deviate by {error:.2g} (median, relative, {str(dtype).removeprefix('torch.')}), "
        f"and the cosine with the slopes around the image is {cosine:.2f}"
    )
    is_wrong, is_useless = error > LARGEST_ERROR, not cosine >= SMALLEST_COSINE
    value, limit = (cosine, SMALLEST_COSINE) if is_useless and not is_wrong else (error, LARGEST_ERROR)
    if not is_wrong and not is_useless:
        return Verdict(
            status="passed",
            value=value,
            limit=limit,
            sentence=f"The gradient is the derivative: {numbers}.",
        )
    if threat_model == "adaptive":
        return Verdict(
            status="warned",
            value=value,
            limit=limit,
            sentence=f"The gradient of this surface is not its derivative: {numbers}. A stand-in may do so.",
            advice="Judge it by what its attack breaks, beside the attack through the system itself.",
        )
    if is_wrong:
        return Verdict(
            status="failed",
            value=value,
            limit=limit,
            sentence=f"The gradient is not the derivative of what the model computes: {numbers}.",
            advice=(
                "Look for detached branches, rounding with a made-up derivative, hooks or custom backward "
                "functions; until then only attacks without gradients mean anything."
            ),
        )
    return Verdict(
        status="failed",
        value=value,
        limit=limit,
        sentence=f"The gradient is shattered: right at the image, useless a step away ({numbers}).",
        advice="Attack a smoothed copy, average gradients over noise, and use attacks without gradients.",
    )


class _Probe:
    """Asks a model for its margin at and around some images."""

    def __init__(self, model: Model, images: Images, labels: Labels, seed: int) -> None:
        self._device = device_of(model)
        self._model, self._seed = model, seed
        self._images, self._labels = images.to(self._device), labels.to(self._device)

    def gradient(self) -> Tensor | None:
        """Return the gradient of each image's margin, or None."""
        leaf = self._images.clone().requires_grad_(True)
        with torch.enable_grad():
            loss = self._margin(leaf).sum()
            if not loss.requires_grad:
                return None
            (gradient,) = torch.autograd.grad(loss, leaf, allow_unused=True)
        return None if gradient is None else gradient.detach().cpu()

    def difference(self, change: Tensor) -> Float64[Tensor, " image"]:
        """Return the margin at x + change minus that at x - change."""
        moved = change.to(self._device)
        with torch.no_grad():
            ahead, behind = self._margin(self._images + moved), self._margin(self._images - moved)
        return (ahead.double() - behind.double()).cpu()

    def _margin(self, images: Images) -> Tensor:
        with evaluation_mode(self._model), own_randomness(self._seed, "gradient"):
            return attack_loss(self._model, images, self._labels, _LOSS)


def _in_float64(surface: Model, images: Images) -> tuple[Model, torch.dtype]:
    """Return a copy that computes in float64, or the surface itself where it cannot."""
    if not isinstance(surface, nn.Module):
        return surface, torch.float32
    try:
        twin = copy.deepcopy(surface).double()
        with torch.no_grad(), evaluation_mode(twin):
            logits = twin(images[:1].double().to(device_of(twin)))
    except FAILURES:
        # whatever a foreign module cannot do in this precision: the comparison is then made in its own
        return surface, torch.float32
    return (twin, torch.float64) if logits.dtype == torch.float64 else (surface, torch.float32)


def _is_random(subject: Subject, surface: Model, images: Images) -> bool:
    """Tell whether two passes differ."""
    first, second = (subject.logits(surface, images, draw=draw) for draw in (0, 1))
    return not torch.equal(first, second)


def _cosine(one: Tensor, other: Tensor) -> Float64[Tensor, " image"]:
    """Return the cosine over directions, (image,), for (direction, image); 0 where a side is 0."""
    one, other = one.double(), other.double()
    length = one.norm(dim=0) * other.norm(dim=0)
    return torch.where(length > 0, (one * other).sum(0) / length.clamp(min=np.finfo(np.float64).tiny), 0.0)
