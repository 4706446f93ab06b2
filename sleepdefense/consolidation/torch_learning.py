"""What one layer learns of some images, as their steps come in chunks."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sleepdefense.consolidation.torch_dynamics import TorchLayer
from sleepdefense.consolidation.torch_kwta import check_claims, claims, select_winners, step_of
from sleepdefense.consolidation.torch_pairings import (
    Counts,
    count_coincidences_,
    count_pairings_,
    first_steps,
)


class Terms(NamedTuple):
    """Who learns in a layer, and how."""

    competition: str
    """"image", "step" or "none"."""
    k: int
    radius: int
    depress_outside: bool
    as_printed: bool
    num_steps: int
    chunk_bytes: int


class Learner:
    """One layer that learns, while some images are presented.

    Args:
        layer: The layer.
        terms: Who learns, and how.
        counts: What is added to.

    Raises:
        SleepError: The neurons cannot be ranked in 63 bits.
    """

    def __init__(self, layer: TorchLayer, terms: Terms, counts: Counts, num_neurons: int) -> None:
        self.layer = layer
        self.terms = terms
        self.counts = counts
        self.seen: Tensor | None = None
        self.claim: Tensor | None = None
        if terms.competition != "none":
            check_claims(terms.num_steps, layer.highest, num_neurons)

    def observe_(
        self,
        first_step: int,
        visible: Bool[Tensor, "time image channel height width"],
        hidden: Bool[Tensor, "time image feature hidden_h hidden_w"],
        potential: Float[Tensor, "time image feature hidden_h hidden_w"],
    ) -> None:
        """Take in the steps from `first_step` on, and count what can be counted."""
        terms = self.terms
        if terms.competition == "none":
            count_coincidences_(
                self.counts, self.layer, visible, hidden, depress_outside=terms.depress_outside
            )
            return
        if self.seen is None:
            self.seen = torch.full_like(visible[0], terms.num_steps, dtype=torch.int32)
        self.seen = first_steps(visible, self.seen, first_step=first_step)
        claim = claims(
            hidden,
            potential,
            first_step=first_step,
            num_steps=terms.num_steps,
            highest=self.layer.highest,
        )
        if terms.competition == "image":
            first = claim.amax(0)
            self.claim = first if self.claim is None else torch.maximum(self.claim, first)
            return
        won = select_winners(claim.flatten(0, 1), k=terms.k, radius=terms.radius)
        won[:, 0] %= hidden.shape[1]
        self._count(won)

    def finish_(self) -> None:
        """Count what could not be counted before the last step."""
        if self.claim is not None:
            self._count(select_winners(self.claim, k=self.terms.k, radius=self.terms.radius))

    def _count(self, won: Tensor) -> None:
        assert self.seen is not None
        won[:, 4] = step_of(won[:, 4], num_steps=self.terms.num_steps, highest=self.layer.highest)
        count_pairings_(
            self.counts,
            self.layer,
            self.seen,
            won,
            depress_outside=self.terms.depress_outside,
            as_printed=self.terms.as_printed,
            chunk_bytes=self.terms.chunk_bytes,
        )
