"""From an attack of the catalogue to attacked images: the only file that imports foolbox.

Attacks that foolbox has are taken from there. What it returns is never believed: images are clamped, checked
against their budget and, where a search found nothing, put back; whether an attack succeeded is decided by
whoever shows the images to a model again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from eagerpy.astensor import astensor
from foolbox.attacks.carlini_wagner import L2CarliniWagnerAttack
from foolbox.attacks.fast_gradient_method import LinfFastGradientAttack
from foolbox.attacks.gradient_descent_base import BaseGradientDescent
from foolbox.attacks.projected_gradient_descent import LinfProjectedGradientDescentAttack
from foolbox.criteria import Misclassification
from foolbox.models.pytorch import PyTorchModel
from jaxtyping import Bool, Int
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import override

from sleepdefense.attacks.catalogue import AttackSpec
from sleepdefense.attacks.corruptions import gaussian_blur, gaussian_noise, salt_and_pepper
from sleepdefense.attacks.gradient import GradientWatch, ImageGradient, evaluation_mode
from sleepdefense.attacks.noise import normal_noise, sign_noise, uniform_noise
from sleepdefense.attacks.rand_fgsm import rand_fgsm
from sleepdefense.attacks.starting import StartingPool
from sleepdefense.errors import ConfigError, EvaluationError
from sleepdefense.shapes import Images, Labels, Logits


@dataclass(frozen=True, slots=True)
class AttackedBatch:
    """What an attack made of a batch.

    Attributes:
        images: Attacked images, (batch, channel, height, width), in [0, 1].
        without_gradient: Images that the model had right at the start and whose gradient was zero everywhere,
            (batch,): the attack could not work there, which says nothing about robustness.
        forward: Images that the attack showed to the model.
        backward: Images for which it took a gradient.
    """

    images: Images
    without_gradient: Bool[Tensor, " batch"]
    forward: int
    backward: int


def perturb(
    spec: AttackSpec,
    model: Callable[[Images], Logits],
    images: Images,
    labels: Labels,
    *,
    index: Int[Tensor, " batch"],
    seed: int,
    pool: StartingPool | None = None,
) -> Images:
    """Attack a batch of images.

    Gradient attacks move away from the true labels, not from the model's own predictions. Random parts are
    functions of `seed`, the attack's name and `index` alone. A module is put in evaluation mode meanwhile;
    its weights, gradients and modes are left as they were.

    Args:
        spec: What to do.
        model: Gives logits, (batch, class): what the gradient goes through. Corruptions do not call it.
        images: (batch, channel, height, width), in [0, 1].
        labels: True class of each image, (batch,).
        index: Number of each image in its data set, (batch,).
        seed: Seed of the run.
        pool: Where an attack with `needs_start` finds its start.

    Returns:
        Attacked images, in [0, 1], within the attack's epsilon. An image for which a search found nothing, or
        nothing within epsilon, is returned as it came.

    Raises:
        EvaluationError: The model gives no gradient, one that is not finite, or images leave the budget.
        ConfigError: Nothing here knows how to run the attack.
    """
    return attack_batch(spec, model, images, labels, index=index, seed=seed, pool=pool).images


def attack_batch(
    spec: AttackSpec,
    model: Callable[[Images], Logits],
    images: Images,
    labels: Labels,
    *,
    index: Int[Tensor, " batch"],
    seed: int,
    pool: StartingPool | None = None,
) -> AttackedBatch:
    """Attack a batch of images as `perturb` does, and say where the model gave no gradient.

    Args:
        spec: What to do.
        model: What the gradient goes through.
        images: (batch, channel, height, width), in [0, 1].
        labels: True class of each image, (batch,).
        index: Number of each image in its data set, (batch,).
        seed: Seed of the run.
        pool: Where an attack with `needs_start` finds its start.

    Returns:
        The attacked images and the warning signs.

    Raises:
        EvaluationError: As for `perturb`.
        ConfigError: As for `perturb`.
    """
    if spec.title not in _RUNNERS:
        raise ConfigError(f"no attack '{spec.title}' to run; known: {', '.join(_RUNNERS)}")
    watch = GradientWatch()
    batch = _Batch(
        model=ImageGradient(model, watch),
        images=images.detach(),
        labels=labels,
        draw=_Draw(index=index.cpu().numpy(), seed=seed, stream=spec.title, device=images.device),
    )
    try:
        with evaluation_mode(model), torch.enable_grad():
            attacked = _RUNNERS[spec.title](spec, batch).detach()
    except AssertionError as error:
        # foolbox checks its inputs and gradients with bare assertions, which say nothing to a user
        raise EvaluationError(
            f"attack '{spec.label}' failed inside foolbox: {error or 'an assertion'}"
        ) from error
    return AttackedBatch(
        images=_within_budget(spec, batch.images, attacked),
        without_gradient=watch.without_gradient(labels),
        forward=watch.forward,
        backward=watch.backward,
    )


@dataclass(frozen=True, slots=True)
class _Draw:
    """Where the random numbers of a batch come from."""

    index: NDArray[np.int64]
    seed: int
    stream: str
    device: torch.device

    def __call__(self, kind: Callable[..., Tensor], shape: tuple[int, ...]) -> Tensor:
        return kind(self.index, tuple(shape), seed=self.seed, stream=self.stream).to(self.device)


@dataclass(frozen=True, slots=True)
class _Batch:
    """One batch under attack."""

    model: ImageGradient
    images: Tensor
    labels: Tensor
    draw: _Draw


class _LinfPGDFromGivenStart(LinfProjectedGradientDescentAttack):
    """PGD that starts where it is told, because foolbox draws from the global generator."""

    def __init__(self, start: Tensor, **settings: Any) -> None:
        super().__init__(**settings)
        self._start = start

    @override
    def get_random_start(self, x0: Any, epsilon: float) -> Any:
        return x0 + epsilon * astensor(self._start)


def _foolbox_run(
    attack: BaseGradientDescent | L2CarliniWagnerAttack, batch: _Batch, **budget: float
) -> Tensor:
    """Run a foolbox attack against the true labels."""
    model = PyTorchModel(batch.model, bounds=(0, 1), device=batch.images.device)
    criterion = Misclassification(batch.labels)
    attacked: Tensor = attack.run(model, batch.images, criterion, **budget)
    return attacked


def _run_fgsm(spec: AttackSpec, batch: _Batch) -> Tensor:
    return _foolbox_run(LinfFastGradientAttack(), batch, epsilon=_epsilon(spec))


def _run_rand_fgsm(spec: AttackSpec, batch: _Batch) -> Tensor:
    sign = batch.draw(sign_noise, batch.images.shape[1:])
    alpha = spec.number("alpha")
    return rand_fgsm(batch.model, batch.images, batch.labels, sign, epsilon=_epsilon(spec), alpha=alpha)


def _run_pgd(spec: AttackSpec, batch: _Batch) -> Tensor:
    attack = _LinfPGDFromGivenStart(
        start=2.0 * batch.draw(uniform_noise, batch.images.shape[1:]) - 1.0,
        rel_stepsize=spec.number("relative_step"),
        steps=int(spec.number("steps")),
        random_start=bool(spec.settings["random_start"]),
    )
    return _foolbox_run(attack, batch, epsilon=_epsilon(spec))


def _run_carlini_wagner(spec: AttackSpec, batch: _Batch) -> Tensor:
    attack = L2CarliniWagnerAttack(
        binary_search_steps=int(spec.number("binary_search_steps")),
        steps=int(spec.number("steps")),
        stepsize=spec.number("learning_rate"),
        confidence=spec.number("confidence"),
        initial_const=spec.number("initial_const"),
        abort_early=False,  # it looks at the sum over the batch, so results would depend on the split
    )
    attacked = _foolbox_run(attack, batch)
    # foolbox 3.3.4 returns an all-black image where it found nothing: not a success, whatever its label
    found = (attacked != 0).flatten(1).any(1)
    return torch.where(found[:, None, None, None], attacked, batch.images)


def _run_gaussian_noise(spec: AttackSpec, batch: _Batch) -> Tensor:
    normal = batch.draw(normal_noise, batch.images.shape[1:])
    return gaussian_noise(batch.images, normal, sigma=spec.number("sigma"))


def _run_gaussian_blur(spec: AttackSpec, batch: _Batch) -> Tensor:
    return gaussian_blur(batch.images, sigma=spec.number("sigma"))


def _run_salt_and_pepper(spec: AttackSpec, batch: _Batch) -> Tensor:
    uniform = batch.draw(uniform_noise, (1, *batch.images.shape[2:]))
    return salt_and_pepper(batch.images, uniform, share=spec.number("share"))


_RUNNERS: dict[str, Callable[[AttackSpec, _Batch], Tensor]] = {
    "FGSM": _run_fgsm,
    "RAND+FGSM": _run_rand_fgsm,
    "PGD": _run_pgd,
    "CW": _run_carlini_wagner,
    "CW-strong": _run_carlini_wagner,
    "GaussianNoise": _run_gaussian_noise,
    "GaussianBlur": _run_gaussian_blur,
    "SaltAndPepper": _run_salt_and_pepper,
}


def _epsilon(spec: AttackSpec) -> float:
    """Return the budget of an attack that must have one."""
    if spec.epsilon is None:
        raise ConfigError(f"attack '{spec.name}' needs an 'epsilon'")
    return spec.epsilon


def _within_budget(spec: AttackSpec, images: Tensor, attacked: Tensor) -> Tensor:
    """Clamp to [0, 1]; put back what a search found too far away; refuse any other overshoot."""
    if attacked.shape != images.shape or not bool(attacked.isfinite().all()):
        raise EvaluationError(
            f"attack '{spec.label}' returned images that are not finite or of another shape"
        )
    attacked = attacked.clamp(0.0, 1.0)
    if spec.epsilon is None:
        return attacked
    change = (attacked.double() - images.double()).flatten(1)
    distance = change.abs().amax(1) if spec.norm == "Linf" else change.norm(dim=1)
    # the spacing of float32 numbers below 1 is 2**-24: sums of such may miss epsilon by that much
    too_far = distance > spec.epsilon * (1 + 1e-5) + 2.0**-23
    if spec.minimises:
        return torch.where(too_far[:, None, None, None], images, attacked)
    if bool(too_far.any()):
        raise EvaluationError(
            f"attack '{spec.label}' left its budget: {spec.norm} distance {float(distance.max()):g}"
        )
    return attacked
