"""The operations on 64 neurons at once: vector code, or plain Numba where that is asked for.

`SLEEPDEFENSE_SIMD=off` in the environment takes the plain ones. Both give the same bits.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sleepdefense.kernels import _jit, _plain, _simd

_chosen: Final[Any] = _simd if _jit.HAS_VECTORS else _plain

LANES: Final = 64
"""Neurons that are integrated together, and bits of a mask."""

PATTERN_BITS: Final = _simd.PATTERN_BITS
"""Pixels of one row that the first layer looks up together."""

SLACK: Final = 32
"""What may be read or written behind the end of codes and rows."""

BYTE_BITS: Final[NDArray[np.uint8]] = np.array(
    [([bit for bit in range(8) if byte >> bit & 1] + [0] * 8)[:8] for byte in range(256)], dtype=np.uint8
).ravel()
"""For each byte the places of its bits, filled up to eight with zeros."""

gather_fire_: Final[Any] = _chosen.gather_fire_
copy_patterns_: Final[Any] = _chosen.copy_patterns_
copy_rows_: Final[Any] = _chosen.copy_rows_
list_byte_: Final[Any] = _chosen.list_byte_
add_bits_: Final[Any] = _chosen.add_bits_
take_rows_: Final[Any] = _chosen.take_rows_
largest: Final[Any] = _chosen.largest
equal_bits: Final[Any] = _chosen.equal_bits
lowest_bit: Final[Any] = _chosen.lowest_bit
count_bits: Final[Any] = _chosen.count_bits
