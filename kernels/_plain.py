"""The operations on 64 neurons at once, in plain Numba: what `_simd.py` computes, on any processor.

A mask is a number of 64 bits, lowest bit first. A row is 64 weights that lie side by side: those from one
visible unit to 64 neurons.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sleepdefense.kernels._jit import Integer, kernel

LANES: Final = 64

_ONE = np.uint64(1)


@kernel
def gather_fire_(
    membrane: NDArray[Any],
    first_neuron: Integer,
    weight: NDArray[Any],
    first_weight: Integer,
    rows: NDArray[np.int32],
    ends: NDArray[np.int32],
    counts: NDArray[np.int32],
    first_list: Integer,
    num_steps: Integer,
    is_narrow: Integer,
    low: Any,
    bias: NDArray[Any],
    threshold: NDArray[Any],
    first_feature: Integer,
    fired: NDArray[np.uint64],
    first_mask: Integer,
    mask_stride: Integer,
    top: NDArray[Any],
    first_top: Integer,
    top_stride: Integer,
    kept: NDArray[Any],
    first_kept: Integer,
    kept_stride: Integer,
) -> None:
    """Integrate 64 neurons over a few steps, and let them fire.

    In step t the rows that drive them begin at rows[ends[first_list + t]], up to the next end. Each neuron
    does

        V = V + bias + sum of its weights in these rows
        it fires if V > threshold, and then V = V - threshold

    and the spikes go to fired[first_mask + t * mask_stride]. In a step in which one of the neurons fires, the
    highest V of those that do goes to top[first_top + t * top_stride], if `top_stride` > 0; and if, besides,
    `kept_stride` > 0, all V go to kept[first_kept + t * kept_stride : + 64].

    Weights of another type than the membranes are stored without sign, as w - low, in the order 0, 32, 1, 33,
    ...; the true weights of counts[first_list + t] rows are summed by adding low as often. Their lists are
    filled up with a row of zeros to a multiple of 4. `is_narrow` promises that four rows add up in 16 bits.
    """
    for step in range(num_steps):
        begin, end = ends[first_list + step], ends[first_list + step + 1]
        mask = np.uint64(0)
        for lane in range(LANES):
            here = first_neuron + lane
            if weight.dtype == membrane.dtype:
                place, value = np.int64(lane), membrane[here] + bias[first_feature + lane]
            else:
                place = np.int64(2 * lane if lane < 32 else 2 * lane - 63)
                value = membrane[here] + bias[first_feature + lane]
                value += np.int32(counts[first_list + step] * low)
            for i in range(begin, end):
                value += membrane.dtype.type(weight[first_weight + rows[i] + place])
            if value > threshold[first_feature + lane]:
                value -= threshold[first_feature + lane]
                mask |= _ONE << np.uint64(lane)
            membrane[here] = value
        fired[first_mask + step * mask_stride] = mask
        if top_stride > 0 and mask != 0:
            best = membrane[first_neuron + lowest_bit(mask)]
            for lane in range(LANES):
                if (mask >> np.uint64(lane)) & _ONE:
                    best = max(best, membrane[first_neuron + lane])
            top[first_top + step * top_stride] = best
            if kept_stride > 0:
                for lane in range(LANES):
                    kept[first_kept + step * kept_stride + lane] = membrane[first_neuron + lane]


@kernel
def copy_rows_(
    rows: NDArray[np.int32],
    place: Integer,
    codes: NDArray[Any],
    first: Integer,
    count: Integer,
    base: Any,
) -> Integer:
    """Write 64 * code + base behind rows[:place], for `count` codes; return the new end.

    May read 31 codes and write 31 rows more.
    """
    for i in range(count):
        rows[place + i] = np.int32(codes[first + i]) * np.int32(64) + base
    return place + count


@kernel
def copy_patterns_(
    rows: NDArray[np.int32],
    place: Integer,
    pattern: NDArray[np.uint8],
    first: Integer,
    count: Integer,
    table: Integer,
) -> Integer:
    """Write 64 * (pattern + 32 * table) behind rows[:place], for `count` patterns, each in the next table.

    Returns the new end; may read 15 patterns and write 15 rows more.
    """
    for i in range(count):
        rows[place + i] = 64 * (pattern[first + i] + 32 * (table + i))
    return place + count


@kernel
def list_byte_(codes: NDArray[Any], place: Integer, bits: NDArray[np.uint8], byte: Any, base: Any) -> None:
    """Write base + j to codes[place:] for each bit j of a byte that is set; may write 8 codes in all.

    `bits` is `BYTE_BITS`.
    """
    for i in range(8):
        codes[place + i] = base + bits[np.int64(byte) * 8 + i]


@kernel
def add_bits_(counts: NDArray[Any], first: Integer, mask: Any, value: Any) -> None:
    """Add a value to counts[first + j] for each bit j of the mask that is set."""
    for lane in range(LANES):
        if (mask >> np.uint64(lane)) & _ONE:
            counts[first + lane] += value


@kernel
def take_rows_(
    values: NDArray[Any],
    first: Integer,
    table: NDArray[Any],
    first_number: Integer,
    rows: NDArray[np.int32],
    count: Integer,
) -> None:
    """Subtract from values[first : first + 64] the rows table[first_number + rows[i] : + 64], i < count."""
    for i in range(count):
        for lane in range(LANES):
            values[first + lane] -= table[first_number + rows[i] + lane]


@kernel
def largest(values: NDArray[Any], first: Integer, mask: Any, low: Any) -> Any:
    """Return the largest of values[first + j] over the bits j that are set, and of `low`."""
    best = low
    for lane in range(LANES):
        if (mask >> np.uint64(lane)) & _ONE:
            best = max(best, values[first + lane])
    return best


@kernel
def equal_bits(values: NDArray[Any], first: Integer, wanted: Any) -> Any:
    """Return the mask of values[first : first + 64] == wanted."""
    mask = np.uint64(0)
    for lane in range(LANES):
        if values[first + lane] == wanted:
            mask |= _ONE << np.uint64(lane)
    return mask


@kernel
def lowest_bit(mask: Any) -> Integer:
    """Return the place of the lowest bit that is set; there must be one."""
    return count_bits((mask & (~mask + _ONE)) - _ONE)


@kernel
def count_bits(mask: Any) -> Integer:
    """Return how many bits are set: sums of neighbouring bits, pairs, nibbles; then of bytes."""
    mask = mask - ((mask >> _ONE) & np.uint64(0x5555555555555555))
    mask = (mask & np.uint64(0x3333333333333333)) + ((mask >> np.uint64(2)) & np.uint64(0x3333333333333333))
    mask = (mask + (mask >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((mask * np.uint64(0x0101010101010101)) >> np.uint64(56))
