"""From an attack of the catalogue to attacked images.

What a library returns is never believed: images are clamped, checked against their budget and shown to the
model again. An image for which a search found nothing is returned as it came.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from sleepdefense.attacks.any_of import AnyOf, Attempt, attack_members
from sleepdefense.attacks.attack_room import AttackRoom
from sleepdefense.attacks.catalogue import AttackSpec
from sleepdefense.attacks.distance import distances
from sleepdefense.attacks.draws import HALF
from sleepdefense.attacks.gradient import GradientWatch, ImageGradient, evaluation_mode
from sleepdefense.attacks.runners import Runner, find_runner
from sleepdefense.attacks.starting import StartingPool, make_pool
from sleepdefense.errors import EvaluationError, SleepDefenseError
from sleepdefense.shapes import Images, Labels, Logits

_OUTSIDE = 1e-5
"""How far intensities may lie outside [0, 1] and still be taken for rounding."""


@dataclass(frozen=True, slots=True)
class AttackedBatch:
    """What an attack made of a batch.

    Attributes:
        images: Attacked images, (batch, channel, height, width), in [0, 1].
        without_gradient: Images that the model had right at the start and whose gradient was zero everywhere,
            (batch,): the attack could not work there, which says nothing about robustness.
        forward: Images that the attack showed to the model.
        backward: Images for which it took a gradient.
        winner: Of a surface that stands for several, the member that each image came from, or ""; for any
            other surface empty.
    """

    images: Images
    without_gradient: Bool[Tensor, " batch"]
    forward: int
    backward: int
    winner: tuple[str, ...] = ()


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
    """Attack a batch of images within the attack's epsilon.

    Args:
        spec: What to do.
        model: As for `attack_batch`.
        images: (batch, channel, height, width), in [0, 1].
        labels: True class of each image, (batch,).
        index: Number of each image in its data set, (batch,).
        seed: Seed of the run.
        pool: Where an attack with `needs_start` finds its start.

    Returns:
        Attacked images, in [0, 1]. An image for which a search found nothing, or nothing within epsilon, is
        returned as it came.

    Raises:
        EvaluationError: As for `attack_batch`.
        ConfigError: As for `attack_batch`.
    """
    attacked = attack_batch(spec, model, images, labels, index=index, seed=seed, pool=pool).images
    if spec.epsilon is None:
        return attacked
    return torch.where(_is_too_far(spec, images, attacked)[:, None, None, None], images, attacked)


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
    """Attack a batch of images, and say what it took.

    Attacks move away from the true labels, not from the model's own predictions. A result is a function of
    the image, the model, the pool, `seed`, the attack's name and `index`, not of the batch (AutoAttack's
    alone is) nor of the global generators, which are left as they were. A module is put in evaluation mode
    meanwhile; its weights, gradients and modes are left as they were.

    Args:
        spec: What to do.
        model: Gives logits, (batch, class): what is attacked. Of an `AnyOf` every member is attacked, or the
            judge if the attack asks for decisions only; what came out is refined, and the nearest success
            kept. Attacks without access do not call it.
        images: (batch, channel, height, width), in [0, 1].
        labels: True class of each image, (batch,).
        index: Number of each image in its data set, (batch,).
        seed: Seed of the run.
        pool: Where an attack with `needs_start` finds its start.

    Returns:
        The attacked images and the warning signs. An attack that minimises goes as far as it must, whatever
        its epsilon; images that it does not get wrong come back as they were.

    Raises:
        EvaluationError: The model gives no gradient, numbers that are not finite or none at all, images lie
            outside [0, 1] or leave the budget, or a library fails.
        ConfigError: Nothing here knows how to run the attack, or it needs a pool and got none.
    """
    run = find_runner(spec)
    images = _checked(images)
    if isinstance(model, AnyOf) and spec.access != "none":
        return _attack_any_of(spec, model, images, labels, index=index, seed=seed, pool=pool)
    watch = GradientWatch()
    room = AttackRoom(
        model=ImageGradient(model, watch),
        watch=watch,
        images=images.to(torch.float32),
        labels=labels.long(),
        index=index.cpu().long().numpy(),
        seed=seed,
        stream=spec.title,
        pool=pool,
    )
    if not len(images):
        return AttackedBatch(images, torch.zeros_like(labels, dtype=torch.bool), forward=0, backward=0)
    with evaluation_mode(model), torch.enable_grad():
        try:
            attacked = _searched(run, spec, room).detach()
        except SleepDefenseError:
            raise
        except (AssertionError, ValueError, IndexError) as error:
            # libraries check their inputs and gradients with bare assertions, which say nothing to a user
            raise EvaluationError(
                f"attack '{spec.label}' failed inside its library: {error or 'an assertion'}. A model whose "
                f"answers change from call to call is a usual cause"
            ) from error
        attacked = _believed(spec, replace(room, share=HALF), attacked)
    return AttackedBatch(
        images=attacked.to(images.dtype),
        without_gradient=watch.without_gradient(room.labels),
        forward=watch.forward,
        backward=watch.backward,
    )


def _searched(run: Runner, spec: AttackSpec, room: AttackRoom) -> Images:
    """Run an attack; where a search does not fool nearly all draws of a random model, let it fool half."""
    attacked = run(spec, room)
    if not (room.is_random and spec.minimises):
        return attacked
    missed = ~room.is_wrong(attacked)
    again = replace(room, share=HALF).run_part(missed, lambda part: run(spec, part))
    return torch.where(missed[:, None, None, None], again, attacked)


def _attack_any_of(
    spec: AttackSpec,
    surface: AnyOf,
    images: Images,
    labels: Labels,
    *,
    index: Int[Tensor, " batch"],
    seed: int,
    pool: StartingPool | None,
) -> AttackedBatch:
    """Attack every member of a surface, or its judge, and keep the best for each image."""
    counts = [0, 0]
    if not spec.needs_gradient:
        surface = AnyOf({"judge": surface.judge}, surface.judge, surface.refine)

    def attack(member: Callable[[Images], Logits]) -> Attempt:
        # what one member takes a start for says nothing about another
        starts = make_pool(member, pool.images) if pool is not None and spec.needs_start else pool
        batch = attack_batch(spec, member, images, labels, index=index, seed=seed, pool=starts)
        counts[0] += batch.forward
        counts[1] += batch.backward
        return Attempt(batch.images, batch.without_gradient)

    best = attack_members(surface, images, labels, spec.norm, attack)
    return AttackedBatch(
        images=best.images,
        without_gradient=best.without_gradient,
        forward=counts[0] + best.judged,
        backward=counts[1],
        winner=tuple("" if number < 0 else surface.names[number] for number in best.winner.tolist()),
    )


def _checked(images: Images) -> Images:
    """Return the images, clamped where rounding has left [0, 1]."""
    if len(images) and not bool(((images > -_OUTSIDE) & (images < 1 + _OUTSIDE)).all()):
        raise EvaluationError(
            f"images under attack must lie in [0, 1], got {float(images.min()):g} to {float(images.max()):g}"
        )
    return images.detach().clamp(0.0, 1.0)


def _believed(spec: AttackSpec, room: AttackRoom, attacked: Tensor) -> Tensor:
    """Clamp to [0, 1]; put back what the model gets right after all; refuse an overshoot."""
    if attacked.shape != room.images.shape or not bool(attacked.isfinite().all()):
        raise EvaluationError(
            f"attack '{spec.label}' returned images that are not finite or of another shape"
        )
    attacked = attacked.clamp(0.0, 1.0)
    if spec.minimises:
        if spec.access == "none":
            return attacked
        return torch.where(room.is_wrong(attacked)[:, None, None, None], attacked, room.images)
    if spec.epsilon is not None and bool(_is_too_far(spec, room.images, attacked).any()):
        distance = float(distances(room.images, attacked, spec.norm).max())
        raise EvaluationError(f"attack '{spec.label}' left its budget: {spec.norm} distance {distance:g}")
    return attacked


def _is_too_far(spec: AttackSpec, images: Images, attacked: Images) -> Bool[Tensor, " batch"]:
    """Tell which images lie beyond the attack's epsilon, (batch,)."""
    # the spacing of float32 numbers below 1 is 2**-24: sums of such may miss epsilon by that much
    limit = spec.number("epsilon") * (1 + 1e-5) + 2.0**-23
    return distances(images, attacked, spec.norm) > limit
