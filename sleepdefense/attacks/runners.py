"""What runs each attack of the catalogue."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from sleepdefense.attacks.attack_room import AttackRoom
from sleepdefense.attacks.attack_spec import AttackSpec
from sleepdefense.attacks.autoattack import run_autoattack, run_square
from sleepdefense.attacks.carlini_wagner import CarliniWagner
from sleepdefense.attacks.catalogue import find_attack
from sleepdefense.attacks.corruptions import gaussian_blur, gaussian_noise, salt_and_pepper
from sleepdefense.attacks.foolbox_backend import FOOLBOX_ATTACKS, run_foolbox
from sleepdefense.attacks.noise import derive_seed, normal_noise, sign_noise, uniform_noise
from sleepdefense.attacks.pointwise import pointwise
from sleepdefense.attacks.rand_fgsm import rand_fgsm
from sleepdefense.attacks.starting import StartingPool, Starts
from sleepdefense.errors import ConfigError
from sleepdefense.shapes import Images

Runner = Callable[[AttackSpec, AttackRoom], Images]

_BLENDS = 50
"""Shares of noise that are tried for a start."""


def find_runner(spec: AttackSpec) -> Runner:
    """Return what runs an attack.

    Args:
        spec: The attack.

    Returns:
        A function of the attack and a room, at least one image in it.

    Raises:
        ConfigError: Nothing here knows the attack.
    """
    name = f"{spec.norm}:{spec.name}"
    if name in _OWN:
        return _OWN[name]
    if name in FOOLBOX_ATTACKS:
        return _from_starts(run_foolbox) if spec.needs_start else run_foolbox
    raise ConfigError(f"no attack '{name}' to run; `sleepdefense attacks` lists all")


def _from_starts(run: Callable[[AttackSpec, AttackRoom, Images], Images]) -> Runner:
    """Let an attack begin at images of another class, where the model is right and there is such an image."""

    def run_from_starts(spec: AttackSpec, room: AttackRoom) -> Images:
        if room.pool is None:
            raise ConfigError(
                f"attack '{spec.label}' starts from images that the model takes for another class: give it a "
                f"pool of images (make_pool)"
            )
        starts, is_found = _find_starts(spec, room, room.pool)
        chosen = ~room.is_wrong(room.images) & is_found
        return room.run_part(chosen, lambda part: _run_confirmed(run, spec, part, starts[chosen]))

    return run_from_starts


def _find_starts(spec: AttackSpec, room: AttackRoom, pool: StartingPool) -> Starts:
    """Return images with as much noise as makes the model err; where none does, the nearest of a pool."""
    nearest = pool.nearest(room.images, room.labels, spec.norm)
    if spec.settings.get("start") != "noise":
        return nearest
    blend = find_attack("L2:LinearSearchBlendedUniformNoise").with_settings(steps=_BLENDS)
    noisy = run_foolbox(blend, replace(room, stream=f"{room.stream}/start"))
    is_start = room.is_wrong(noisy)
    images = torch.where(is_start[:, None, None, None], noisy, nearest.images)
    return Starts(images, is_start | nearest.is_found)


def _run_confirmed(
    run: Callable[[AttackSpec, AttackRoom, Images], Images],
    spec: AttackSpec,
    room: AttackRoom,
    starts: Images,
) -> Images:
    """Run on those images whose start the model gets wrong in this very batch: libraries insist on all."""
    holds = room.is_wrong(starts)
    if bool(holds.all()):
        return run(spec, room, starts)
    return room.run_part(holds, lambda part: _run_confirmed(run, spec, part, starts[holds]))


def _where_right(run: Runner) -> Runner:
    """Let an attack work on those images alone that the model gets right."""

    def run_where_right(spec: AttackSpec, room: AttackRoom) -> Images:
        return room.run_part(~room.is_wrong(room.images), lambda part: run(spec, part))

    return run_where_right


def _run_rand_fgsm(spec: AttackSpec, room: AttackRoom) -> Images:
    sign = room.noise(sign_noise, room.images.shape[1:])
    sizes = {"epsilon": spec.number("epsilon"), "alpha": spec.number("alpha")}
    return rand_fgsm(room.model, room.images, room.labels, sign, **sizes)


def _run_carlini_wagner(spec: AttackSpec, room: AttackRoom) -> Images:
    attack = CarliniWagner(
        learning_rate=spec.number("learning_rate"),
        steps=int(spec.number("steps")),
        binary_search_steps=int(spec.number("binary_search_steps")),
        initial_const=spec.number("initial_const"),
        confidence=spec.number("confidence"),
        abort_early=bool(spec.settings["abort_early"]),
        share=room.share,
    )
    return attack.attack(room.model, room.images, room.labels)


def _run_pointwise(spec: AttackSpec, room: AttackRoom, starts: Images) -> Images:
    """Run several times, from salt and pepper or, where that finds nothing, from a start; keep the best."""
    best, fewest = starts, torch.full(room.labels.shape, torch.inf, device=starts.device)
    first = find_attack("L0:SaltAndPepperNoise").with_settings(steps=int(spec.number("steps")))
    for number in range(int(spec.number("repeats"))):
        noisy = run_foolbox(first, replace(room, stream=f"{room.stream}/start {number}"))
        is_start = room.is_wrong(noisy)[:, None, None, None]
        generators = [
            np.random.default_rng(derive_seed(room.seed, f"{room.stream}/order {number}/{image}"))
            for image in room.index.tolist()
        ]
        attacked = pointwise(_asks(room), room.images, torch.where(is_start, noisy, starts), generators)
        changed = (attacked != room.images).flatten(1).sum(1).float()
        is_better = room.is_wrong(attacked) & (changed < fewest)
        best = torch.where(is_better[:, None, None, None], attacked, best)
        fewest = torch.where(is_better, changed, fewest)
    return best


def _asks(room: AttackRoom) -> Callable[[Images, Tensor], Bool[Tensor, " part"]]:
    """Ask the model about changed versions of some images of the batch."""

    @torch.no_grad()
    def is_wrong(images: Images, rows: Tensor) -> Bool[Tensor, " part"]:
        logits: Tensor = room.model(images)
        return logits.argmax(1) != room.labels[rows]

    return is_wrong


def _run_gaussian_noise(spec: AttackSpec, room: AttackRoom) -> Images:
    normal = room.noise(normal_noise, room.images.shape[1:])
    return gaussian_noise(room.images, normal, sigma=spec.number("sigma"))


def _run_gaussian_blur(spec: AttackSpec, room: AttackRoom) -> Images:
    return gaussian_blur(room.images, sigma=spec.number("sigma"))


def _run_salt_and_pepper(spec: AttackSpec, room: AttackRoom) -> Images:
    uniform = room.noise(uniform_noise, (1, *room.images.shape[2:]))
    return salt_and_pepper(room.images, uniform, share=spec.number("share"))


_OWN: dict[str, Runner] = {
    "Linf:RAND+FGSM": _run_rand_fgsm,
    "L2:CW": _run_carlini_wagner,
    "L2:CW-strong": _run_carlini_wagner,
    "L2:CarliniWagner": _run_carlini_wagner,
    "L0:Pointwise": _from_starts(_run_pointwise),
    "none:GaussianNoise": _run_gaussian_noise,
    "none:GaussianBlur": _run_gaussian_blur,
    "none:SaltAndPepper": _run_salt_and_pepper,
    **{f"{norm}:Square": _where_right(run_square) for norm in ("Linf", "L2", "L1")},
    **{f"{norm}:AutoAttack": _where_right(run_autoattack) for norm in ("Linf", "L2", "L1")},
}
