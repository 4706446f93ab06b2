"""A weighted sum of rows of 64 floats, as LLVM vector code and as plain Numba: both give the same bits."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from sleepdefense.kernels._emit import I64, LANES, Emit
from sleepdefense.kernels._jit import HAS_VECTORS, Integer, kernel

_SIZE: Final = types.int64


@intrinsic
def weigh_rows_vector_(
    typing_context: Any,
    out: Any,
    first_out: Any,
    source: Any,
    first_source: Any,
    place: Any,
    first_place: Any,
    place_stride: Any,
    weight: Any,
    first_weight: Any,
    count: Any,
) -> tuple[Any, Any]:
    """Write a weighted sum of rows, which stays in registers; see `weigh_rows_plain_`."""
    signature = types.void(out, _SIZE, source, _SIZE, place, _SIZE, _SIZE, weight, _SIZE, _SIZE)

    def generate(context: Any, builder: Any, signature: Any, arguments: Sequence[Any]) -> Any:
        emit = Emit(context, builder, signature, arguments)
        _, first_out, _, first_source, _, first_place, stride, _, first_weight, count = arguments
        real = ir.FloatType()
        rows, places = emit.address(2, first_source), emit.address(4, first_place)
        weights = emit.address(7, first_weight)
        total = emit.variable(emit.zero(real, LANES))
        with cgutils.for_range(builder, count, intp=I64) as loop:
            offset = builder.load(builder.gep(places, [builder.mul(loop.index, stride)]))
            factor = emit.splat(builder.load(builder.gep(weights, [loop.index])), LANES)
            row = emit.load(builder.gep(rows, [offset]), real, LANES)
            builder.store(builder.fadd(builder.load(total), builder.fmul(factor, row)), total)
        emit.store(builder.load(total), emit.address(0, first_out))
        return context.get_dummy_value()

    return signature, generate


@kernel
def weigh_rows_plain_(
    out: NDArray[np.float32],
    first_out: Integer,
    source: NDArray[np.float32],
    first_source: Integer,
    place: NDArray[np.int64],
    first_place: Integer,
    place_stride: Integer,
    weight: NDArray[np.float32],
    first_weight: Integer,
    count: Integer,
) -> None:
    """Write a weighted sum of rows of 64 numbers.

    Row number k begins at source[first_source + place[first_place + k * place_stride]] and has the weight
    weight[first_weight + k]; `count` of them are added from 0 on, in this order, and the sum goes to
    out[first_out : + 64].
    """
    for lane in range(LANES):
        total = np.float32(0)
        for k in range(count):
            row = first_source + place[first_place + k * place_stride]
            total += weight[first_weight + k] * source[row + lane]
        out[first_out + lane] = total


weigh_rows_: Final[Any] = weigh_rows_vector_ if HAS_VECTORS else weigh_rows_plain_
