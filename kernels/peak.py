"""How fast this machine can add rows of weights at all: the same loops over tables that fit a cache."""

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from sleepdefense.kernels._emit import Emit
from sleepdefense.kernels._jit import Integer, kernel
from sleepdefense.kernels._lanes import LANES, gather_fire_
from sleepdefense.kernels.extent import NUMBERS, WeightType
from sleepdefense.kernels.pack import aligned

_SIZES: Final = (16, 128, 256)  # kilobytes: in a first-level cache, and as large as blocks of S2 to S4
_STEPS: Final = 8
_LIST: Final = 1024  # rows a step, so many that firing does not count
_ROUNDS: Final = 12
_REPEATS: Final = 4
_FACTOR = np.uint64(6364136223846793005)
_INCREMENT = np.uint64(1442695040888963407)


def add_peaks(weight_type: WeightType) -> dict[str, float]:
    """Measure additions of a weight to a neuron per second, by one thread.

    Args:
        weight_type: As in `sleep_images`.

    Returns:
        Loop and size of its table -> additions per second. "widening" is the plain way, 16-bit weights
        widened one by one and added in 32 bits; "kernel" is the loop that the sleep uses.
    """
    rates = {}
    number, element = NUMBERS[weight_type]
    for size in _SIZES:
        num_rows = size * 1024 // (LANES * np.dtype(number).itemsize)
        rng = np.random.default_rng(0)
        rows = np.concatenate([rng.permutation(num_rows) for _ in range(_STEPS * _LIST // num_rows + 1)])
        rows = (rows[: _STEPS * _LIST] * LANES).astype(np.int32)
        table = aligned(num_rows * LANES, number)
        membrane = aligned(LANES, element)
        rates[f"kernel, {size} KB"] = _fastest(_gather_, membrane, table, rows)
        if weight_type == "i16":
            rates[f"widening, {size} KB"] = _fastest(_widen_, membrane, table.view(np.int16), rows)
    return rates


def _fastest(loop: Any, membrane: NDArray[Any], table: NDArray[Any], rows: NDArray[np.int32]) -> float:
    """Return the best rate of several rounds."""
    loop(membrane, table, rows, np.int64(1))
    best = 0.0
    for _ in range(_ROUNDS):
        begin = time.thread_time()
        loop(membrane, table, rows, np.int64(_REPEATS))
        best = max(best, _REPEATS * rows.size * LANES / (time.thread_time() - begin))
    return best


def prepare_gather(size: int, *, repeats: int) -> Callable[[], None]:
    """Return the loop of the sleep over a table of 16-bit weights of its own.

    Args:
        size: Of the table, in kilobytes.
        repeats: How many times 8192 rows are added at a call.
    """
    number, element = NUMBERS["i16"]
    num_rows = size * 1024 // (LANES * np.dtype(number).itemsize)
    rows = np.random.default_rng(0).integers(0, num_rows, _STEPS * _LIST).astype(np.int32) * np.int32(LANES)
    table, membrane = aligned(num_rows * LANES, number), aligned(LANES, element)
    return lambda: _gather_(membrane, table, rows, np.int64(repeats))


def spin(count: int) -> int:
    """Do so many multiplications and additions in a register, each with the result of the one before."""
    return int(_spin_(np.uint64(count)))


@kernel
def _spin_(count: np.uint64) -> np.uint64:
    """Run a congruential generator."""
    state = np.uint64(1)
    for _ in range(count):
        state = state * _FACTOR + _INCREMENT
    return state


@kernel
def _gather_(membrane: NDArray[Any], table: NDArray[Any], rows: NDArray[np.int32], repeats: Integer) -> None:
    """Run the loop of the sleep at one position."""
    steps = np.int64(_STEPS)
    ends, counts = np.empty(_STEPS + 1, dtype=np.int32), np.zeros(_STEPS, dtype=np.int32)
    for step in range(_STEPS + 1):
        ends[step] = step * _LIST
    bias, threshold = np.zeros_like(membrane), np.ones_like(membrane)
    mask = np.empty(_STEPS, dtype=np.uint64)
    zero = np.int64(0)
    for _ in range(repeats):
        gather_fire_(
            membrane, zero, table, zero, rows, ends, counts, zero, steps, np.int64(1), bias[0], bias,
            threshold, zero, mask, zero, np.int64(1), membrane, zero, zero, membrane, zero, zero,
        )  # fmt: skip


@intrinsic
def _add_widened_(typing_context: Any, membrane: Any, table: Any, rows: Any, count: Any) -> Any:
    """Add rows of 64 signed 16-bit weights to 64 sums of 32 bits, each row widened before."""
    signature = types.void(membrane, table, rows, types.int64)

    def generate(context: Any, builder: Any, signature: Any, arguments: Sequence[Any]) -> Any:
        emit = Emit(context, builder, signature, arguments)
        word, half, size = ir.IntType(32), ir.IntType(16), ir.IntType(64)
        here, weights, listed = (emit.address(place, size(0)) for place in range(3))
        total = emit.variable(emit.load(here, word, LANES))
        with cgutils.for_range(builder, arguments[3], intp=size) as loop:
            offset = builder.zext(builder.load(builder.gep(listed, [loop.index])), size)
            row = emit.load(builder.gep(weights, [offset]), half, LANES)
            wide = builder.sext(row, ir.VectorType(word, LANES))
            builder.store(builder.add(builder.load(total), wide), total)
        emit.store(builder.load(total), here)
        return context.get_dummy_value()

    return signature, generate


_ADD: Final[Any] = _add_widened_


@kernel
def _widen_(membrane: NDArray[Any], table: NDArray[Any], rows: NDArray[np.int32], repeats: Integer) -> None:
    """Run the plain loop."""
    for _ in range(repeats):
        _ADD(membrane, table, rows, rows.size)
