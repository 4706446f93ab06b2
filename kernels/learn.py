"""What a layer learns from a few steps: winners, and what their synapses go through."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sleepdefense.kernels._jit import Integer, part
from sleepdefense.kernels.compete import compete_
from sleepdefense.kernels.pack import (
    FEATURES,
    FIRST_MASK,
    FIRST_SOURCE,
    OUT_HEIGHT,
    OUT_WIDTH,
    OUT_WORDS,
    SOURCE_HEIGHT,
    SOURCE_WIDTH,
    WORDS,
)
from sleepdefense.kernels.pairings import count_everybody_, count_winners_, note_visible_
from sleepdefense.kernels.recall import Past
from sleepdefense.kernels.tally import Tally

ONCE: Final = 0  # winners of an image
EVERY_STEP: Final = 1  # winners of a step
EVERYBODY: Final = 2  # no competition


@part
def can_learn(
    num_winners: Integer,
    blocked: NDArray[np.bool_],
    mode: Integer,
    k: Integer,
    shape: NDArray[np.int64],
) -> bool:
    """Say whether a layer can still have winners in this image."""
    if k == 0 or mode != ONCE:
        return bool(k > 0)
    if num_winners >= min(k, shape[FEATURES]):
        return False
    free = np.int64(0)
    for position in range(shape[OUT_HEIGHT] * shape[OUT_WIDTH]):
        free += np.int64(not blocked[position])
    return bool(free > 0)


@part
def free_all_(used: NDArray[np.uint64], blocked: NDArray[np.bool_], shape: NDArray[np.int64]) -> None:
    """Lift the inhibition of a layer."""
    for word in range(shape[OUT_WORDS]):
        used[word] = np.uint64(0)
    for position in range(shape[OUT_HEIGHT] * shape[OUT_WIDTH]):
        blocked[position] = False


@part
def learn_chunk_(
    winner: NDArray[np.int32],
    num_winners: Integer,
    used: NDArray[np.uint64],
    blocked: NDArray[np.bool_],
    best: NDArray[Any],
    past: Past,
    seen: NDArray[np.uint64],
    tally: Tally,
    shape: NDArray[np.int64],
    mode: Integer,
    k: Integer,
    radius: Integer,
    as_printed: bool,
    span: tuple[Integer, Integer, Integer, Integer],
    first: Integer,
    low: Any,
) -> Integer:
    """Let a layer learn from the steps of a span; return how many winners there are.

    Winners of an image are found step by step: a neuron that fired earlier and did not win is inhibited for
    good, or k was reached; so whoever can still win fires for the first time.

    `span` is (first step in the chunk, number of steps, length of a chunk, which potentials are kept);
    `first` is the first step of the span in the image.
    """
    mask = past.mask
    source = shape[SOURCE_HEIGHT] * shape[SOURCE_WIDTH] * shape[WORDS]
    hidden = shape[OUT_HEIGHT] * shape[OUT_WIDTH] * shape[OUT_WORDS]
    visible = shape[FIRST_SOURCE] * span[2] + span[0] * source
    masks = shape[FIRST_MASK] * span[2] + span[0] * hidden
    most, forgets = min(k, np.int64(winner.shape[0])), mode == EVERYBODY
    for step in range(span[1]):
        if mode == EVERYBODY:
            note_visible_(seen, mask, visible, shape, forgets)
            count_everybody_(tally, seen, mask, masks, shape)
        elif mode == EVERY_STEP or can_learn(num_winners, blocked, mode, k, shape):
            if mode == EVERY_STEP:
                num_winners = np.int64(0)
                free_all_(used, blocked, shape)
            before = num_winners
            num_winners = compete_(
                winner, before, most, radius, past, used, blocked, best, shape, span, step, first, low
            )
            if not as_printed:
                note_visible_(seen, mask, visible, shape, forgets)
            count_winners_(tally, seen, winner, before, num_winners, shape, as_printed)
            if as_printed:  # potentiated is who spikes now, later or never: who has not spiked before
                note_visible_(seen, mask, visible, shape, forgets)
        visible += source
        masks += hidden
    return num_winners
