"""Writes the LLVM vector code of `_simd.py`: loads, sums and comparisons of 64 numbers at once."""

from collections.abc import Sequence
from math import inf
from typing import Any, Final

from llvmlite import ir
from numba.core import cgutils, types

LANES: Final = 64
"""Neurons that are integrated together, and bits of a mask of spikes."""

BIT: Final = ir.IntType(1)
I8: Final = ir.IntType(8)
I16: Final = ir.IntType(16)
I32: Final = ir.IntType(32)
I64: Final = ir.IntType(64)
ELEMENTS: Final = {
    types.uint8: I8,
    types.uint16: I16,
    types.int32: I32,
    types.uint32: I32,
    types.int64: I64,
    types.uint64: I64,
    types.float32: ir.FloatType(),
}
"""What holds a number of each type of Numba's."""


class Emit:
    """Writes vector code: a builder, and the arrays that an intrinsic was called with."""

    def __init__(self, context: Any, builder: Any, signature: Any, arguments: Sequence[Any]) -> None:
        self.context, self.builder, self.types, self.values = context, builder, signature.args, arguments

    def address(self, argument: int, offset: Any) -> Any:
        """Return the address of an element of an array."""
        array = self.context.make_array(self.types[argument])(
            self.context, self.builder, self.values[argument]
        )
        return self.builder.gep(array.data, [offset])

    def load(self, address: Any, element: Any, lanes: int) -> Any:
        """Read a vector from memory that is aligned to its elements only."""
        value = self.builder.load(
            self.builder.bitcast(address, ir.PointerType(ir.VectorType(element, lanes)))
        )
        value.align = _bytes(element)
        return value

    def store(self, vector: Any, address: Any) -> None:
        """Write a vector."""
        stored = self.builder.store(vector, self.builder.bitcast(address, ir.PointerType(vector.type)))
        stored.align = _bytes(vector.type.element)

    def splat(self, value: Any, lanes: int) -> Any:
        """Return a vector of equal numbers."""
        undefined = ir.Constant(ir.VectorType(value.type, lanes), ir.Undefined)
        first = self.builder.insert_element(undefined, value, I32(0))
        return self.builder.shuffle_vector(
            first, undefined, ir.Constant(ir.VectorType(I32, lanes), [0] * lanes)
        )

    def add(self, a: Any, b: Any) -> Any:
        """Return a + b."""
        return self.builder.fadd(a, b) if _is_float(a) else self.builder.add(a, b)

    def subtract(self, a: Any, b: Any) -> Any:
        """Return a - b."""
        return self.builder.fsub(a, b) if _is_float(a) else self.builder.sub(a, b)

    def compare(self, sign: str, a: Any, b: Any) -> Any:
        """Return a vector of bits."""
        if _is_float(a):
            return self.builder.fcmp_ordered(sign, a, b)
        return self.builder.icmp_signed(sign, a, b)

    def variable(self, value: Any) -> Any:
        """Return a place for a value that changes in a loop; LLVM keeps it in registers."""
        place = cgutils.alloca_once(self.builder, value.type)
        self.builder.store(value, place)
        return place

    def zero(self, element: Any, lanes: int) -> Any:
        """Return a vector of zeros."""
        return ir.Constant(ir.VectorType(element, lanes), [0] * lanes)

    def split(self, pairs: Any, carried: Any, half: int) -> Any:
        """Put the sums of even and of odd elements one behind the other; see `_sum_words`."""
        shift = ir.Constant(pairs.type, [half] * pairs.type.count)
        even = self.builder.sub(pairs, self.builder.shl(carried, shift))
        return self.join(even, carried)

    def largest(self, bits: Any, values: Any, low: Any) -> Any:
        """Return the largest of the values whose bit is set, and of `low`."""
        name = {"float": "fmax.v64f32", "i32": "smax.v64i32", "i64": "smax.v64i64"}[str(values.type.element)]
        reduce = cgutils.get_or_insert_function(
            self.builder.module,
            ir.FunctionType(values.type.element, [values.type]),
            f"llvm.vector.reduce.{name}",
        )
        return self.builder.call(reduce, [self.builder.select(bits, values, self.splat(low, LANES))])

    def lowest(self, element: Any) -> Any:
        """Return the lowest number of a type."""
        return element(-inf if isinstance(element, ir.FloatType) else -(2 ** (element.width - 1)))

    def join(self, first: Any, second: Any) -> Any:
        """Put two vectors one behind the other."""
        places = ir.Constant(ir.VectorType(I32, 2 * first.type.count), list(range(2 * first.type.count)))
        return self.builder.shuffle_vector(first, second, places)


def _bytes(element: Any) -> int:
    return 4 if isinstance(element, ir.FloatType) else max(1, element.width // 8)


def _is_float(vector: Any) -> bool:
    return isinstance(vector.type.element, ir.FloatType)
