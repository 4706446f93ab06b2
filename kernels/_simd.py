"""The few operations on 64 neurons at once, as LLVM vector code; `_plain.py` says what each of them means.

The code names no processor: LLVM turns vectors of 64 numbers into what the machine has (AVX-512, AVX2, NEON).
All numbers are integers (or integers held in floats), so the result is the same on each of them. Nothing here
is checked: the callers reserve what is read and written.
"""

from collections.abc import Sequence
from typing import Any, Final

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from sleepdefense.kernels._emit import BIT, ELEMENTS, I8, I16, I32, I64, LANES, Emit

PATTERN_BITS: Final = 5
"""Pixels of a row that are looked up together: a table has 32 rows."""

_BLOCK: Final = 4  # rows are added in blocks of so many; lists are filled up to a multiple of it
_BYTE_ROWS: Final = 256  # 8-bit rows that a sum of 16 bits holds: 256 * 255 < 2**16

_Code = tuple[Any, Any]
_SIZE: Final = types.int64


def _sum_numbers(emit: Emit, rows: Any, table: Any, begin: Any, end: Any, element: Any) -> Any:
    """Add rows of the type of the membranes: 64 sums."""
    builder = emit.builder
    total = emit.variable(emit.zero(element, LANES))
    with cgutils.for_range_slice(builder, begin, end, I64(1)) as (index, _):
        row = _row(emit, rows, table, index, 0, element, LANES)
        builder.store(emit.add(builder.load(total), row), total)
    return builder.load(total)


def _sum_words(emit: Emit, rows: Any, table: Any, begin: Any, end: Any, narrow: Any) -> Any:
    """Add rows of 64 unsigned 16-bit numbers: 64 sums of 32 bits, without widening a single row.

    Four rows are added in 16 bits, if no sum can pass 2**16 (`narrow`). Two neighbours in memory, even and
    odd, are then one 32-bit number, and

        pairs   += even + 2**16 * odd          (modulo 2**32)
        carried += odd
        even sum = pairs - 2**16 * carried     (modulo 2**32, and it is less than that)
    """
    builder = emit.builder
    half = LANES // 2
    pairs, carried = emit.variable(emit.zero(I32, half)), emit.variable(emit.zero(I32, half))
    shift = ir.Constant(ir.VectorType(I32, half), [16] * half)

    def carry(words: Any) -> None:
        both = builder.bitcast(words, ir.VectorType(I32, half))
        builder.store(builder.add(builder.load(pairs), both), pairs)
        builder.store(builder.add(builder.load(carried), builder.lshr(both, shift)), carried)

    with cgutils.for_range_slice(builder, begin, end, I64(_BLOCK)) as (index, _):
        block = [_row(emit, rows, table, index, place, I16, LANES) for place in range(_BLOCK)]
        with builder.if_else(narrow, likely=True) as (together, apart):
            with together:
                words = block[0]
                for row in block[1:]:
                    words = builder.add(words, row)
                carry(words)
            with apart:
                for row in block:
                    carry(row)
    return emit.split(builder.load(pairs), builder.load(carried), 16)


def _sum_bytes(emit: Emit, rows: Any, table: Any, begin: Any, end: Any) -> Any:
    """Add rows of 64 unsigned 8-bit numbers; as `_sum_words`, in 16 bits, for 256 rows at a time."""
    builder = emit.builder
    half = LANES // 2
    total = emit.variable(emit.zero(I32, LANES))
    pairs, carried = emit.variable(emit.zero(I16, half)), emit.variable(emit.zero(I16, half))
    shift = ir.Constant(ir.VectorType(I16, half), [8] * half)
    with cgutils.for_range_slice(builder, begin, end, I64(_BYTE_ROWS)) as (first, _):
        builder.store(emit.zero(I16, half), pairs)
        builder.store(emit.zero(I16, half), carried)
        last = builder.add(first, I64(_BYTE_ROWS))
        last = builder.select(builder.icmp_signed("<", last, end), last, end)
        with cgutils.for_range_slice(builder, first, last, I64(_BLOCK)) as (index, _):
            for place in range(_BLOCK):
                row = _row(emit, rows, table, index, place, I8, LANES)
                both = builder.bitcast(row, ir.VectorType(I16, half))
                builder.store(builder.add(builder.load(pairs), both), pairs)
                builder.store(builder.add(builder.load(carried), builder.lshr(both, shift)), carried)
        sums = emit.split(builder.load(pairs), builder.load(carried), 8)
        wide = builder.zext(sums, ir.VectorType(I32, LANES))
        builder.store(builder.add(builder.load(total), wide), total)
    return builder.load(total)


def _row(emit: Emit, rows: Any, table: Any, index: Any, place: int, element: Any, lanes: int) -> Any:
    """Read one row of weights."""
    builder = emit.builder
    offset = builder.load(builder.gep(rows, [builder.add(index, I64(place))]))
    return emit.load(builder.gep(table, [builder.zext(offset, I64)]), element, lanes)


@intrinsic
def gather_fire_(
    typing_context: Any,
    membrane: Any,
    first_neuron: Any,
    weight: Any,
    first_weight: Any,
    rows: Any,
    ends: Any,
    counts: Any,
    first_list: Any,
    num_steps: Any,
    is_narrow: Any,
    low: Any,
    bias: Any,
    threshold: Any,
    first_feature: Any,
    fired: Any,
    first_mask: Any,
    mask_stride: Any,
    top: Any,
    first_top: Any,
    top_stride: Any,
    kept: Any,
    first_kept: Any,
    kept_stride: Any,
) -> _Code:
    """Integrate 64 neurons over a few steps, with their membranes in registers; see `_plain.py`."""
    number, element = membrane.dtype, ELEMENTS[membrane.dtype]
    signature = types.void(
        membrane, _SIZE, weight, _SIZE, rows, ends, counts, _SIZE, _SIZE, _SIZE, number,
        bias, threshold, _SIZE, fired, _SIZE, _SIZE, top, _SIZE, _SIZE, kept, _SIZE, _SIZE,
    )  # fmt: skip

    def generate(context: Any, builder: Any, signature: Any, arguments: Sequence[Any]) -> Any:
        emit = Emit(context, builder, signature, arguments)
        (_, neuron, _, begin_weight, _, _, _, first, steps, narrow, offset, _, _, feature, _, mask, stride,
         _, best, best_stride, _, keep, keep_stride) = arguments  # fmt: skip
        here = emit.address(0, neuron)
        table, listed = emit.address(2, begin_weight), emit.address(4, I64(0))
        end_of, count_of = emit.address(5, first), emit.address(6, first)
        constant = emit.load(emit.address(11, feature), element, LANES)
        limit = emit.load(emit.address(12, feature), element, LANES)
        spikes, highest, residual = emit.address(14, mask), emit.address(17, best), emit.address(20, keep)
        together = builder.icmp_signed("!=", narrow, I64(0))
        learns = builder.icmp_signed(">", best_stride, I64(0))
        keeps = builder.icmp_signed(">", keep_stride, I64(0))
        potential = emit.variable(emit.load(here, element, LANES))
        with cgutils.for_range(builder, steps, intp=I64) as loop:
            step = loop.index
            begin = builder.zext(builder.load(builder.gep(end_of, [step])), I64)
            end = builder.zext(builder.load(builder.gep(end_of, [builder.add(step, I64(1))])), I64)
            if weight.dtype == types.uint16:
                drive = _sum_words(emit, listed, table, begin, end, together)
            elif weight.dtype == types.uint8:
                drive = _sum_bytes(emit, listed, table, begin, end)
            else:
                drive = _sum_numbers(emit, listed, table, begin, end, element)
            if weight.dtype != number:  # stored without sign, above the lowest weight
                count = builder.load(builder.gep(count_of, [step]))
                drive = emit.add(drive, emit.splat(builder.mul(count, offset), LANES))
            now = emit.add(emit.add(builder.load(potential), constant), drive)
            fires = emit.compare(">", now, limit)
            after = builder.select(fires, emit.subtract(now, limit), now)
            builder.store(after, potential)
            spikes_now = builder.bitcast(fires, I64)
            builder.store(spikes_now, builder.gep(spikes, [builder.mul(step, stride)]))
            someone = builder.icmp_unsigned("!=", spikes_now, I64(0))
            with builder.if_then(builder.and_(learns, someone)):
                most = emit.largest(fires, after, emit.lowest(element))
                builder.store(most, builder.gep(highest, [builder.mul(step, best_stride)]))
                with builder.if_then(keeps):
                    emit.store(after, builder.gep(residual, [builder.mul(step, keep_stride)]))
        emit.store(builder.load(potential), here)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def copy_rows_(
    typing_context: Any, rows: Any, place: Any, codes: Any, first: Any, count: Any, base: Any
) -> _Code:
    """Append codes to a list of rows, 32 at a time; see `_plain.py`."""
    signature = _SIZE(rows, _SIZE, codes, _SIZE, _SIZE, types.int32)

    def generate(context: Any, builder: Any, signature: Any, arguments: Sequence[Any]) -> Any:
        emit = Emit(context, builder, signature, arguments)
        _, begin, _, source, number, start = arguments
        to, origin = emit.address(0, begin), emit.address(2, source)
        wide = ir.VectorType(I32, 32)
        bases, shift = emit.splat(start, 32), ir.Constant(wide, [6] * 32)
        with cgutils.for_range_slice(builder, I64(0), number, I64(32)) as (index, _):
            some = emit.load(builder.gep(origin, [index]), ELEMENTS[codes.dtype], 32)
            if codes.dtype == types.uint16:
                some = builder.zext(some, wide)
            emit.store(builder.add(builder.shl(some, shift), bases), builder.gep(to, [index]))
        return builder.add(begin, number)

    return signature, generate


@intrinsic
def copy_patterns_(
    typing_context: Any, rows: Any, place: Any, pattern: Any, first: Any, count: Any, table: Any
) -> _Code:
    """Append the rows of patterns in one table after the other, 16 at a time; see `_plain.py`."""
    signature = _SIZE(rows, _SIZE, pattern, _SIZE, _SIZE, _SIZE)

    def generate(context: Any, builder: Any, signature: Any, arguments: Sequence[Any]) -> Any:
        emit = Emit(context, builder, signature, arguments)
        _, begin, _, source, number, start = arguments
        to, origin = emit.address(0, begin), emit.address(2, source)
        wide = ir.VectorType(I32, 16)
        shift, table_shift = ir.Constant(wide, [6] * 16), ir.Constant(wide, [6 + PATTERN_BITS] * 16)
        places = ir.Constant(wide, list(range(16)))
        with cgutils.for_range_slice(builder, I64(0), number, I64(16)) as (index, _):
            seen = builder.zext(emit.load(builder.gep(origin, [index]), I8, 16), wide)
            tables = emit.splat(builder.trunc(builder.add(start, index), I32), 16)
            tables = builder.shl(builder.add(tables, places), table_shift)
            emit.store(builder.add(builder.shl(seen, shift), tables), builder.gep(to, [index]))
        return builder.add(begin, number)

    return signature, generate


@intrinsic
def list_byte_(typing_context: Any, codes: Any, place: Any, bits: Any, byte: Any, base: Any) -> _Code:
    """Write the places of the bits that are set in a byte; see `_plain.py`."""
    signature = types.void(codes, _SIZE, bits, types.uint64, _SIZE)

    def generate(context: Any, builder: Any, signature: Any, arguments: Sequence[Any]) -> Any:
        emit = Emit(context, builder, signature, arguments)
        _, begin, _, value, start = arguments
        known = emit.load(emit.address(2, builder.shl(value, I64(3))), I8, 8)
        element = ELEMENTS[codes.dtype]
        bases = emit.splat(builder.trunc(start, element), 8)
        emit.store(builder.add(builder.zext(known, ir.VectorType(element, 8)), bases), emit.address(0, begin))
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def add_bits_(typing_context: Any, counts: Any, first: Any, mask: Any, value: Any) -> _Code:
    """Add a number wherever a bit of a mask is set; see `_plain.py`."""
    signature, element = types.void(counts, _SIZE, types.uint64, counts.dtype), ELEMENTS[counts.dtype]

    def generate(context: Any, builder: Any, signature: Any, arguments: Sequence[Any]) -> Any:
        emit = Emit(context, builder, signature, arguments)
        address = emit.address(0, arguments[1])
        bits = builder.bitcast(arguments[2], ir.VectorType(BIT, LANES))
        some = builder.select(bits, emit.splat(arguments[3], LANES), emit.zero(element, LANES))
        emit.store(emit.add(emit.load(address, element, LANES), some), address)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def take_rows_(
    typing_context: Any, values: Any, first: Any, table: Any, first_number: Any, rows: Any, count: Any
) -> _Code:
    """Subtract some rows of a table of the same type from 64 numbers; see `_plain.py`."""
    signature, element = types.void(values, _SIZE, table, _SIZE, rows, _SIZE), ELEMENTS[values.dtype]

    def generate(context: Any, builder: Any, signature: Any, arguments: Sequence[Any]) -> Any:
        emit = Emit(context, builder, signature, arguments)
        address, numbers = emit.address(0, arguments[1]), emit.address(2, arguments[3])
        drive = _sum_numbers(emit, emit.address(4, I64(0)), numbers, I64(0), arguments[5], element)
        emit.store(emit.subtract(emit.load(address, element, LANES), drive), address)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def largest(typing_context: Any, values: Any, first: Any, mask: Any, low: Any) -> _Code:
    """Return the largest of the values whose bit is set; see `_plain.py`."""
    signature = values.dtype(values, _SIZE, types.uint64, values.dtype)

    def generate(context: Any, builder: Any, signature: Any, arguments: Sequence[Any]) -> Any:
        emit = Emit(context, builder, signature, arguments)
        bits = builder.bitcast(arguments[2], ir.VectorType(BIT, LANES))
        some = emit.load(emit.address(0, arguments[1]), ELEMENTS[values.dtype], LANES)
        return emit.largest(bits, some, arguments[3])

    return signature, generate


@intrinsic
def equal_bits(typing_context: Any, values: Any, first: Any, wanted: Any) -> _Code:
    """Return a mask of the values that equal `wanted`; see `_plain.py`."""
    signature = types.uint64(values, _SIZE, values.dtype)

    def generate(context: Any, builder: Any, signature: Any, arguments: Sequence[Any]) -> Any:
        emit = Emit(context, builder, signature, arguments)
        some = emit.load(emit.address(0, arguments[1]), ELEMENTS[values.dtype], LANES)
        return builder.bitcast(emit.compare("==", some, emit.splat(arguments[2], LANES)), I64)

    return signature, generate


@intrinsic
def lowest_bit(typing_context: Any, mask: Any) -> _Code:
    """Return the place of the lowest bit that is set; there must be one."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Sequence[Any]) -> Any:
        return builder.cttz(arguments[0], ir.Constant(BIT, 1))

    return _SIZE(types.uint64), generate


@intrinsic
def count_bits(typing_context: Any, mask: Any) -> _Code:
    """Return how many bits are set."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Sequence[Any]) -> Any:
        return builder.ctpop(arguments[0])

    return _SIZE(types.uint64), generate
