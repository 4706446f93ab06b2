"""Several networks attacked in place of one, and for each image the best of what came out.

A network with a part that has no gradient is attacked through networks that stand in for it: soft thresholds
of several slopes, a twin trained alike. Which of them is best differs from image to image, so all are
attacked, and the network itself judges.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn
from typing_extensions import override

from sleepdefense.attacks.distance import distances
from sleepdefense.attacks.gradient import evaluation_mode
from sleepdefense.errors import ConfigError, EvaluationError
from sleepdefense.shapes import Images, Labels, Logits

Refine = Callable[[Images, Images], Images]
"""From images and attacked images to attacked images that lie nearer and that the judge sees alike."""


class AnyOf(nn.Module):
    """An attack surface that stands for several.

    `attack_batch` attacks every member and keeps, for each image, the nearest one that the judge gets wrong.
    As a module it is the judge: so attacks that ask for decisions only, and checks, see what is defended.

    Args:
        members: What is attacked, by name; tables count which one won.
        judge: What decides whether an attacked image is a success.
        refine: Moves attacked images nearer without changing what the judge sees, or None.

    Raises:
        ConfigError: There is no member.
    """

    def __init__(
        self, members: Mapping[str, nn.Module], judge: nn.Module, refine: Refine | None = None
    ) -> None:
        if not members:
            raise ConfigError("a surface that stands for several needs a member at least, got none")
        super().__init__()
        self.names = tuple(members)
        self.members = nn.ModuleList(members.values())
        self.judge = judge
        self.refine = refine

    @override
    def forward(self, images: Images) -> Logits:
        """Return the logits of the judge, (batch, class)."""
        logits: Tensor = self.judge(images)
        return logits

    @override
    def extra_repr(self) -> str:
        """Return the names of the members."""
        return f"names={', '.join(self.names)}, is_refined={self.refine is not None}"


class Attempt(NamedTuple):
    """What the attack on one member gave.

    Attributes:
        images: Attacked images, (batch, channel, height, width).
        without_gradient: Images without a gradient at the start, (batch,).
    """

    images: Images
    without_gradient: Bool[Tensor, " batch"]


class BestOf(NamedTuple):
    """What the attacks on all members gave together.

    Attributes:
        images: For each image the nearest attacked one that the judge gets wrong; where there is none, the
            image as it was.
        winner: Number of the member that it comes from, (batch,); -1 where none succeeded.
        without_gradient: Images that had no gradient in any member, (batch,).
        judged: Images shown to the judge.
    """

    images: Images
    winner: Int[Tensor, " batch"]
    without_gradient: Bool[Tensor, " batch"]
    judged: int


def attack_members(
    surface: AnyOf,
    images: Images,
    labels: Labels,
    norm: str,
    attack: Callable[[nn.Module], Attempt],
) -> BestOf:
    """Attack all members, refine what came out, and keep for each image the nearest success.

    Of two at the same distance the first member's is kept.

    Args:
        surface: Members and judge.
        images: (batch, channel, height, width), in [0, 1].
        labels: True class of each image, (batch,).
        norm: What "nearest" is measured in: "Linf", "L2", "L1", "L0", or "none" for L2.
        attack: Attacks one member.

    Returns:
        The best of all members.

    Raises:
        EvaluationError: The attack on a member fails (named), or the judge gives logits that are not finite.
    """
    best = images.clone()
    least = torch.full(labels.shape, torch.inf, dtype=torch.float64, device=images.device)
    winner = torch.full_like(labels, -1)
    without_gradient = torch.ones_like(labels, dtype=torch.bool)
    for number, (name, member) in enumerate(zip(surface.names, surface.members, strict=True)):
        try:
            attempt = attack(member)
        except EvaluationError as error:
            raise EvaluationError(f"attacking '{name}': {error}") from error
        attacked = attempt.images
        if surface.refine is not None:
            attacked = surface.refine(images, attacked)
        moved = distances(images, attacked, norm)
        is_better = _is_wrong(surface.judge, attacked, labels) & (moved < least)
        best = torch.where(is_better[:, None, None, None], attacked, best)
        least = torch.where(is_better, moved, least)
        winner = torch.where(is_better, number, winner)
        without_gradient = without_gradient & attempt.without_gradient
    return BestOf(best, winner, without_gradient, judged=len(surface.names) * len(images))


@torch.no_grad()
def _is_wrong(judge: nn.Module, images: Images, labels: Labels) -> Bool[Tensor, " batch"]:
    with evaluation_mode(judge):
        logits: Tensor = judge(images)
    if not bool(logits.isfinite().all()):
        raise EvaluationError("the judge's logits are not finite")
    return logits.argmax(1) != labels
