"""AutoAttack and its Square attack. The only door to pyautoattack.

Their warning flags are not used: the checks of `sleepdefense.evaluation` say more.
"""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from pyautoattack.autoattack import AutoAttack
from pyautoattack.square import SquareAttack
from torch import Tensor
from typing_extensions import override

from sleepdefense.attacks.attack_room import AttackRoom
from sleepdefense.attacks.attack_spec import AttackSpec
from sleepdefense.errors import EvaluationError
from sleepdefense.shapes import Images

_FEWEST_FOR_TARGETS = 4
"""Classes that the targeted difference of logits ratio needs."""
_FEWEST_FOR_DLR = 3


def autoattack_seed(room: AttackRoom) -> int:
    """Return the seed that AutoAttack gets: a function of the run's seed, the attack and the first image."""
    return room.shared_seed(f"from {int(room.index[0])}")


def run_autoattack(spec: AttackSpec, room: AttackRoom) -> Images:
    """Run AutoAttack on images that the model gets right.

    Its random starts are drawn for the batch as a whole: unlike every other attack's, an image's result
    depends on the batch it is in, and is the same again only in the same batch.

    With fewer than ten classes fewer are aimed at. The member that needs four classes (targeted APGD) is left
    out below that.

    Args:
        spec: Norm, epsilon and version.
        room: The batch, at least one image.

    Returns:
        Attacked images; those not found are as they came.
    """
    num_classes = room.model(room.images[:1]).shape[1]
    if num_classes < 2:
        raise EvaluationError(f"AutoAttack needs a model with two classes or more, got {num_classes}")
    with _alone():
        attack = AutoAttack(
            room.model,
            norm=spec.norm,
            eps=spec.number("epsilon"),
            seed=autoattack_seed(room),
            version=str(spec.settings["version"]),
            device=room.images.device,
        )
        limit_targets_(attack, num_classes)
        attacked: Tensor = attack.run_standard_evaluation(
            room.images, room.labels, batch_size=len(room.images)
        )[0]
    return attacked


def limit_targets_(attack: AutoAttack, num_classes: int) -> None:
    """Make AutoAttack fit a model with fewer than ten classes.

    Args:
        attack: Changed.
        num_classes: Of the model, >= 2.
    """
    attack.apgd_targeted.n_target_classes = min(attack.apgd_targeted.n_target_classes, num_classes - 1)
    attack.fab.n_target_classes = min(attack.fab.n_target_classes, num_classes - 1)
    names = list(attack.attacks_to_run)
    if num_classes < _FEWEST_FOR_TARGETS:
        names = [name for name in names if name != "apgd-t"]
    if num_classes < _FEWEST_FOR_DLR:
        names = [name for name in names if name != "apgd-dlr"]
    attack.attacks_to_run = names


def run_square(spec: AttackSpec, room: AttackRoom) -> Images:
    """Run the Square attack on images that the model gets right.

    All images get the same random squares, each step's drawn from the run's seed, so batches do not matter.

    Args:
        spec: Norm, epsilon and queries.
        room: The batch, at least one image.

    Returns:
        Attacked images; those not found are as they came.
    """
    attack = _SharedSquare(
        room.model,
        norm=spec.norm,
        n_queries=int(spec.number("queries")),
        eps=spec.number("epsilon"),
        seed=0,
        verbose=False,
        resc_schedule=False,
        device=room.images.device,
    )
    attack.draws = torch.Generator().manual_seed(room.shared_seed("squares"))
    with _alone():
        attacked: Tensor = attack.perturb(room.images, room.labels)
    return attacked


class _SharedSquare(SquareAttack):  # type: ignore[misc]
    """Square whose draws are the same for all images, and not from the global generator."""

    draws: torch.Generator

    @override
    def random_choice(self, shape: Any) -> Tensor:
        """Draw -1 or 1; what is drawn for each image of a batch is drawn once."""
        one = (1, *shape[1:]) if len(shape) == self.ndims + 1 else tuple(shape)
        sign = 2.0 * torch.randint(0, 2, one, generator=self.draws) - 1.0
        return sign.to(self.device).expand(*shape)

    @override
    def random_int(self, low: int = 0, high: int = 1, shape: Any = (1,)) -> Tensor:
        """Draw integers in [low, high)."""
        return torch.randint(low, max(high, low + 1), tuple(shape), generator=self.draws).to(self.device)

    @override
    def eta(self, s: int) -> Tensor:
        """Return the pattern of a window: a rise and a fall, side by side or one above the other."""
        rise, fall = self.eta_rectangles(s // 2, s), self.eta_rectangles(s - s // 2, s)
        pattern = torch.cat([rise, -fall])
        pattern = pattern / (pattern.square().sum().sqrt() if self.norm == "L2" else pattern.abs().sum())
        is_turned = bool(torch.randint(0, 2, (1,), generator=self.draws))
        return pattern.T if is_turned else pattern


@contextmanager
def _alone() -> Iterator[None]:
    """Keep what pyautoattack disturbs: global generators, the tracer of debuggers and coverage, the log."""
    logger, tracer = logging.getLogger("auto-attack"), sys.gettrace()
    was_disabled, logger.disabled = logger.disabled, True
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    try:
        with torch.random.fork_rng(devices=devices), torch.enable_grad():
            yield
    finally:
        logger.disabled = was_disabled
        sys.settrace(tracer)
