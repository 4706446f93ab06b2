"""A small matrix from both sides: against NumPy, in parts, without vector code."""

import numba
import numpy as np
import pytest
from numpy.typing import NDArray

from sleepdefense.kernels import _weigh
from sleepdefense.kernels.sandwich import Sandwich

MATRIX = np.array([[0.0, 2.0, 0.0, -1.0], [0.0, 0.0, 0.0, 0.0], [1.0, 0.5, -4.0, 3.0]])


def pixels(lanes: int) -> NDArray[np.float32]:
    return np.random.default_rng(lanes).standard_normal((16, lanes)).astype(np.float32)


def wanted(source: NDArray[np.float32]) -> NDArray[np.float64]:
    image = source.reshape(4, 4, -1).astype(float)
    return np.einsum("pi,qj,ijl->pql", MATRIX, MATRIX, image).reshape(9, -1)


@pytest.mark.parametrize("lanes", [64, 65, 127, 200])
def test_both_products(lanes: int) -> None:
    source, out = pixels(lanes), np.full(9 * lanes, np.nan, np.float32)
    Sandwich(MATRIX, lanes)(out, source.ravel())
    np.testing.assert_allclose(out.reshape(9, lanes), wanted(source), rtol=1e-5, atol=1e-5)


def test_pixels_may_lie_in_any_order() -> None:
    source, out = pixels(70), np.empty(9 * 70, np.float32)
    rng = np.random.default_rng(0)
    source_order, out_order = rng.permutation(16), rng.permutation(9)
    shuffled = np.empty_like(source)
    shuffled[source_order] = source
    Sandwich(MATRIX, 70, source_order=source_order, out_order=out_order)(out, shuffled.ravel())
    np.testing.assert_allclose(out.reshape(9, 70)[out_order], wanted(source), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("count", [2, 3, 7])
def test_parts_make_the_whole(count: int) -> None:
    """Of four blocks of lanes; seven parts leave some empty."""
    source, whole = pixels(200).ravel(), np.empty(9 * 200, np.float32)
    sandwich, out = Sandwich(MATRIX, 200), np.full(9 * 200, np.nan, np.float32)
    sandwich(whole, source)
    for number in range(count):
        sandwich(out, source, part=(number, count))
    np.testing.assert_array_equal(out, whole)


@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="the compiler is switched off")
def test_vector_and_plain_code_give_the_same_bits() -> None:
    rng = np.random.default_rng(1)
    source, weight = rng.standard_normal(600).astype(np.float32), rng.standard_normal(5).astype(np.float32)
    place = rng.integers(0, 400, 11)

    @numba.njit
    def vector(out, count):  # type: ignore[no-untyped-def]
        _weigh.weigh_rows_vector_(out, 3, source, 100, place, 1, 2, weight, 0, count)

    for count in (0, 1, 5):
        one, other = np.zeros(70, np.float32), np.zeros(70, np.float32)
        vector(one, count)
        _weigh.weigh_rows_plain_(other, 3, source, 100, place, 1, 2, weight, 0, count)
        assert one.tobytes() == other.tobytes()
        rows = np.stack([source[100 + place[1 + 2 * k] :][:64] for k in range(count)] or [np.zeros(64)])
        np.testing.assert_allclose(one[3:67], weight[: max(count, 1)] @ rows, rtol=1e-4, atol=1e-5)
        assert not one[:3].any()
        assert not one[67:].any()


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="'lanes' must be at least 64, got 63"):
        Sandwich(MATRIX, 63)
    sandwich = Sandwich(MATRIX, 64)
    with pytest.raises(ValueError, match="'out' must hold 576 numbers, got 575"):
        sandwich(np.empty(575, np.float32), np.empty(1024, np.float32))
