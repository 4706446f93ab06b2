"""Transposed convolutions as products: exactly the convolution, with fewer products."""

import numpy as np
import pytest

from sleepdefense.models.toom_cook import bilinear_upsampling


@pytest.mark.parametrize(
    ("small", "large"), [(1, 1), (1, 2), (2, 3), (4, 7), (5, 9), (7, 14), (14, 28), (16, 31)]
)
def test_it_is_the_transposed_convolution(small: int, large: int) -> None:
    plan = bilinear_upsampling(small, large)
    found = np.einsum("op,pi,pk->oik", plan.outputs, plan.inputs, plan.taps[plan.kind])
    wanted = np.zeros((large, small, 5))
    for pixel in range(small):
        for tap in range(5):
            if 0 <= 2 * pixel - 2 + tap < large:
                wanted[2 * pixel - 2 + tap, pixel, tap] = 1
    np.testing.assert_allclose(found, wanted, atol=1e-15)


@pytest.mark.parametrize(("small", "large", "direct", "products"), [(4, 7, 16, 10), (7, 14, 32, 20)])
def test_it_takes_fewer_products(small: int, large: int, direct: int, products: int) -> None:
    plan = bilinear_upsampling(small, large)
    pairs = sum(0 <= 2 * pixel - 2 + tap < large for pixel in range(small) for tap in range(5))
    assert (pairs, len(plan.kind)) == (direct, products)


def test_tiles_share_values_of_the_kernel() -> None:
    plan = bilinear_upsampling(14, 28)
    assert len(plan.taps) == 11
    assert len(plan.kind) == 40
    assert len({tuple(row) for row in plan.taps}) == 11
