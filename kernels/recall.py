"""The potentials of a position in a step that has passed: kept, or reckoned back from the membranes.

The competition looks at a few positions a step. A layer that lists its rows keeps the potentials of every
position where a neuron fires. The first layer has so many positions that this would cost more than to fire;
but its drives are looked up, and the way back is as exact as the way there:

    V[t - 1] = V[t] + threshold * fired[t] - bias - drive[t]
"""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sleepdefense.kernels._jit import Integer, part
from sleepdefense.kernels._lanes import LANES, add_bits_, copy_patterns_, take_rows_
from sleepdefense.kernels.pack import (
    CHANNELS,
    FIRST_FEATURE,
    FIRST_MASK,
    FIRST_NEURON,
    HAS_BIAS,
    NUM_PATTERNS,
    OUT_HEIGHT,
    OUT_WIDTH,
    OUT_WORDS,
)
from sleepdefense.kernels.patterns import channel_patterns, corner_of, lookups_of

NO_POTENTIALS: Final = 0
BEST_POTENTIALS: Final = 1  # the highest of each position, step and block
ALL_POTENTIALS: Final = 2  # besides, those of all neurons where one of them fires


class Past(NamedTuple):
    """What the potentials of the last few steps can be found from; see `Workspace` and `PackedChain`."""

    top: NDArray[Any]
    kept: NDArray[Any]
    membrane: NDArray[Any]
    mask: NDArray[np.uint64]
    rows: NDArray[np.int32]
    pattern: NDArray[np.uint8]
    pattern_stride: Integer
    """Patterns of a step."""
    sums: NDArray[Any]
    bias: NDArray[Any]
    threshold: NDArray[Any]


@part
def _reckon_back_(
    past: Past,
    shape: NDArray[np.int64],
    span: tuple[Integer, Integer, Integer, Integer],
    step: Integer,
    position: Integer,
) -> None:
    """Write the potentials of a position after a step of the span to the front of `kept`."""
    kept, rows, blocks, first_step = past.kept, past.rows, shape[OUT_WORDS], span[0]
    hidden, lookups = shape[OUT_HEIGHT] * shape[OUT_WIDTH] * blocks, lookups_of(shape)
    neuron = shape[FIRST_NEURON] + position * blocks * LANES
    threshold = past.threshold[shape[FIRST_FEATURE]]
    for i in range(blocks * LANES):
        kept[i] = past.membrane[neuron + i]
    for later in range(first_step + step + 1, first_step + span[1]):
        masks = shape[FIRST_MASK] * span[2] + later * hidden + position * blocks
        corner, end = later * past.pattern_stride + corner_of(shape, position), np.int64(0)
        for channel in range(shape[CHANNELS]):
            first = corner + channel * channel_patterns(shape)
            end = copy_patterns_(rows, end, past.pattern, first, lookups, channel * lookups)
        for block in range(blocks):
            place = block * LANES
            add_bits_(kept, place, past.mask[masks + block], threshold)
            if shape[HAS_BIAS] != 0:
                for lane in range(place, place + LANES):
                    kept[lane] -= past.bias[shape[FIRST_FEATURE] + lane]
            take_rows_(kept, place, past.sums, place * shape[NUM_PATTERNS], rows, end)


@part
def find_potentials_(
    past: Past,
    shape: NDArray[np.int64],
    span: tuple[Integer, Integer, Integer, Integer],
    step: Integer,
    position: Integer,
) -> Integer:
    """Return where in `kept` the potentials of a position that fires in a step of the span are."""
    if span[3] == ALL_POTENTIALS:
        blocks = shape[OUT_WORDS]
        place: Integer = (step * shape[OUT_HEIGHT] * shape[OUT_WIDTH] + position) * blocks * LANES
        return place
    _reckon_back_(past, shape, span, step, position)
    return np.int64(0)
