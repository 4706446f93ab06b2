"""The operations on 64 neurons at once: vector code against plain Numba against NumPy, bit for bit."""

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepdefense.kernels import _lanes, _plain, _simd
from sleepdefense.kernels._lanes import BYTE_BITS, SLACK

pytestmark = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="the compiler is switched off")
LANES = 64
MASKS = st.integers(0, 2**64 - 1).map(np.uint64)
ORDER = [32 * (place % 2) + place // 2 for place in range(LANES)]  # 0, 32, 1, 33, ...


def compiled(lanes):
    """Each operation behind a function that Python can call."""
    found = {}
    for name in (
        "gather_fire_", "copy_rows_", "copy_patterns_", "list_byte_", "add_bits_", "take_rows_", "largest",
        "equal_bits", "lowest_bit", "count_bits",
    ):  # fmt: skip
        operation = getattr(lanes, name)
        found[name] = numba.njit(_forward(operation))
    return found


def _forward(operation):
    def call(*arguments):
        return operation(*arguments)

    return call


@pytest.fixture(scope="module", params=[_simd, _plain], ids=["vector", "plain"])
def operations(request):
    return compiled(request.param)


def bits(mask):
    return np.array([int(mask) >> lane & 1 for lane in range(LANES)], dtype=bool)


TYPES = {"words": (np.uint16, np.int32), "bytes": (np.uint8, np.int32), "floats": (np.float32, np.float32),
         "wide": (np.int64, np.int64)}  # fmt: skip


@st.composite
def gathers(draw, kind):
    """Weights of some rows, lists of them for some steps, and 64 neurons."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    weight_type, number = TYPES[kind]
    num_rows, num_steps = draw(st.integers(1, 300)), draw(st.integers(1, 4))
    narrow = draw(st.booleans())
    top = {"words": 16383 if narrow else 65535, "bytes": 255, "floats": 3000, "wide": 2**40}[kind]
    bottom = 0 if kind in ("words", "bytes") else -top
    rows = rng.integers(bottom, top + 1, (num_rows, LANES))
    if draw(st.booleans()):
        rows[:] = top  # the sums reach their limits
    lists = [
        rng.integers(0, num_rows, draw(st.sampled_from([0, 1, 3, 4, 5, 40, 600]))) for _ in range(num_steps)
    ]
    return rng, rows, lists, int(narrow), -int(rng.integers(0, 5000)), weight_type, number


@pytest.mark.parametrize("kind", TYPES)
@settings(max_examples=25)
@given(data=st.data())
def test_gather_fire_is_integrate_and_fire(operations, kind, data):
    rng, true, lists, narrow, low, weight_type, number = data.draw(gathers(kind))
    raised = kind in ("words", "bytes")
    low = low if raised else 0
    packed = np.zeros((len(true) + 1, LANES), dtype=weight_type)  # the last row fills up
    packed[:-1] = true[:, ORDER] if raised else true
    num_steps = len(lists)
    rows = np.full(sum(len(some) + 3 for some in lists) + SLACK, -1, dtype=np.int32)
    ends, end = [0], 0
    for some in lists:
        filled = -len(some) % 4
        rows[end : end + len(some)] = some * LANES
        rows[end + len(some) : end + len(some) + filled] = len(true) * LANES
        end += len(some) + filled
        ends.append(end)
    before = rng.integers(-1000, 1000, LANES)
    bias, threshold = rng.integers(-50, 50, LANES), rng.integers(1, 100_000, LANES)
    membrane, kept = before.astype(number), np.zeros(num_steps * LANES, dtype=number)
    top = np.zeros(2 * num_steps + 1, dtype=number)
    fired = np.zeros(2 * num_steps + 1, dtype=np.uint64)
    operations["gather_fire_"](
        membrane, 0, packed.ravel(), 0, rows, np.array(ends, dtype=np.int32),
        np.array([len(some) for some in lists], dtype=np.int32), 0, num_steps, narrow, number(low),
        bias.astype(number), threshold.astype(number), 0, fired, 1, 2, top, 1, 2, kept, 0, LANES,
    )  # fmt: skip
    potential = before.astype(object)
    for step, some in enumerate(lists):
        drive = np.sum(true[some].astype(object), axis=0) + low * len(some)
        potential = potential + bias + drive
        fires = potential > threshold
        potential = potential - fires * threshold
        np.testing.assert_array_equal(bits(fired[1 + 2 * step]), fires.astype(bool))
        if kind == "floats" and np.max(np.abs(potential)) > 2**24:
            return
        assert top[1 + 2 * step] == (max(potential[fires.astype(bool)]) if fires.any() else 0)
        after = potential if fires.any() else np.zeros(LANES)
        np.testing.assert_array_equal(kept[step * LANES : (step + 1) * LANES].astype(np.int64), after)
    np.testing.assert_array_equal(membrane.astype(np.int64), potential)


def test_potentials_are_kept_only_where_asked_for(operations):
    ones, none = np.ones(LANES, dtype=np.int32), np.zeros(3, dtype=np.int32)
    for stride, tops in ((0, [7, 7]), (1, [7, 1])):
        membrane, kept = np.zeros(LANES, dtype=np.int32), np.full(LANES, 7, dtype=np.int32)
        top = np.full(2, 7, dtype=np.int32)
        operations["gather_fire_"](
            membrane, 0, np.zeros(LANES, np.uint16), 0, none, none, none, 0, 2, 1, np.int32(0), ones, ones,
            0, np.zeros(2, dtype=np.uint64), 0, 1, top, 0, stride, kept, 0, 0,
        )  # fmt: skip
        assert (kept == 7).all()
        assert top.tolist() == tops  # silent in the first step
        assert (membrane == 1).all()  # 1, then 2 - 1


@given(data=st.data())
def test_rows_are_copied(operations, data):
    number = data.draw(st.sampled_from([np.uint16, np.int32]))
    codes = data.draw(st.lists(st.integers(0, 65535), max_size=50))
    padded = np.array(codes + [9] * SLACK, dtype=number)
    first = data.draw(st.integers(0, len(codes)))
    rows = np.zeros(3 + len(codes) + SLACK, dtype=np.int32)
    end = operations["copy_rows_"](rows, 3, padded, first, len(codes) - first, np.int32(-640))
    assert end == 3 + len(codes) - first
    np.testing.assert_array_equal(rows[3:end], 64 * np.array(codes[first:], dtype=np.int64) - 640)


@given(patterns=st.lists(st.integers(0, 31), max_size=40), table=st.integers(0, 50))
def test_patterns_are_copied_table_by_table(operations, patterns, table):
    rows = np.zeros(len(patterns) + SLACK, dtype=np.int32)
    padded = np.array(patterns + [9] * SLACK, dtype=np.uint8)
    end = operations["copy_patterns_"](rows, 0, padded, 0, len(patterns), table)
    assert rows[:end].tolist() == [64 * (seen + 32 * (table + i)) for i, seen in enumerate(patterns)]


@pytest.mark.parametrize("number", [np.uint16, np.int32])
def test_bytes_are_listed(operations, number):
    for byte in range(256):
        codes = np.zeros(10, dtype=number)
        operations["list_byte_"](codes, 1, BYTE_BITS, np.uint64(byte), 640)
        places = [640 + bit for bit in range(8) if byte >> bit & 1]
        assert codes[1 : 1 + len(places)].tolist() == places


@pytest.mark.parametrize("number", [np.int32, np.int64, np.float32])
@given(mask=MASKS, value=st.integers(-1000, 1000))
def test_value_is_added_where_a_bit_is_set(operations, number, mask, value):
    counts = np.arange(LANES + 2, dtype=number)
    operations["add_bits_"](counts, 1, mask, number(value))
    np.testing.assert_array_equal(counts[1:-1], np.arange(1, LANES + 1) + value * bits(mask))
    assert (counts[0], counts[-1]) == (0, LANES + 1)
    assert operations["count_bits"](mask) == int(mask).bit_count()
    if mask:
        assert operations["lowest_bit"](mask) == np.flatnonzero(bits(mask))[0]


@pytest.mark.parametrize("number", [np.int32, np.int64, np.float32])
@given(listed=st.lists(st.integers(0, 4), max_size=9), seed=st.integers(0, 1000))
def test_rows_are_taken_from_64_numbers(operations, number, listed, seed):
    rng = np.random.default_rng(seed)
    table, before = rng.integers(-99, 99, (6, LANES)), rng.integers(-99, 99, LANES + 2)
    values, rows = before.astype(number), np.array([*listed, 9], dtype=np.int32) * LANES
    operations["take_rows_"](values, 1, table.astype(number).ravel(), LANES, rows, len(listed))
    before[1:-1] -= sum((table[1 + row] for row in listed), np.zeros(LANES, dtype=np.int64))
    np.testing.assert_array_equal(values, before)


@pytest.mark.parametrize("number", [np.int32, np.int64, np.float32])
@given(mask=MASKS, seed=st.integers(0, 1000))
def test_largest_of_a_mask_and_who_equals_it(operations, number, mask, seed):
    values = np.random.default_rng(seed).integers(-3, 3, LANES + 1).astype(number)
    low = number(-100)
    best = operations["largest"](values, 1, mask, low)
    assert best == max([low, *values[1:][bits(mask)]])
    np.testing.assert_array_equal(bits(operations["equal_bits"](values, 1, number(best))), values[1:] == best)


def test_vector_code_is_what_is_used():
    assert _lanes.gather_fire_ is _simd.gather_fire_
