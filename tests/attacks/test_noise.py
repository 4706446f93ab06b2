import hashlib

import numpy as np
import pytest
import torch

from sleepdefense.attacks.noise import derive_seed, normal_noise, sign_noise, uniform_noise

KINDS = (uniform_noise, normal_noise, sign_noise)


MASK, GOLDEN = 2**64 - 1, 0x9E3779B97F4A7C15


def naive_mix(word: int) -> int:
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & MASK
    return word ^ (word >> 31)


def naive_words(state: int, size: int) -> list[int]:
    """splitmix64 in plain Python, one word after the other."""
    return [naive_mix((state + number * GOLDEN) & MASK) for number in range(1, size + 1)]


def test_the_plain_twin_gives_the_published_words():
    # the first outputs of the reference implementation for the seed 1234567 (Vigna, splitmix64.c)
    assert naive_words(1234567, 3) == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_draws_against_the_plain_twin():
    index = np.array([0, 7, 59_999])
    draws = uniform_noise(index, (2, 3), seed=5, stream="PGD")
    key = int.from_bytes(hashlib.sha256(b"5/PGD").digest()[:8], "little")
    for row, number in enumerate(index.tolist()):
        state = naive_mix(key ^ naive_mix(((number + 1) * GOLDEN) & MASK))
        expected = [(word >> 40) / 2**24 for word in naive_words(state, 6)]
        assert draws[row].flatten().tolist() == expected


@pytest.mark.parametrize("kind", KINDS)
def test_draws_do_not_depend_on_the_split(kind):
    index = np.arange(10)
    whole = kind(index, (1, 4, 4), seed=3, stream="x")
    pieces = torch.cat(
        [kind(part, (1, 4, 4), seed=3, stream="x") for part in (index[:1], index[1:7], index[7:])]
    )
    backwards = kind(index[::-1].copy(), (1, 4, 4), seed=3, stream="x")
    assert torch.equal(whole, pieces)
    assert torch.equal(whole, backwards.flip(0))


@pytest.mark.parametrize("kind", KINDS)
def test_seed_stream_and_image_each_matter(kind):
    index = np.arange(2)
    draws = [kind(index, (100,), seed=seed, stream=stream) for seed, stream in ((0, "a"), (1, "a"), (0, "b"))]
    rows = torch.cat(draws)
    assert len(torch.unique(rows, dim=0)) == 6


def test_distributions():
    index = np.arange(100)
    # 100 000 draws: the standard error of the mean is below .0032 of a standard deviation
    uniform = uniform_noise(index, (1000,), seed=0, stream="u").double()
    assert uniform.min() >= 0
    assert uniform.max() < 1
    assert abs(uniform.mean() - 0.5) < 0.004
    assert abs(uniform.var() - 1 / 12) < 0.002
    normal = normal_noise(index, (1000,), seed=0, stream="n").double()
    assert abs(normal.mean()) < 0.013
    assert abs(normal.var() - 1) < 0.02
    assert abs((normal**4).mean() - 3) < 0.2
    assert abs((normal.abs() < 1.96).double().mean() - 0.95) < 0.003
    sign = sign_noise(index, (1000,), seed=0, stream="s")
    assert set(sign.flatten().tolist()) == {-1.0, 1.0}
    assert abs(sign.mean()) < 0.013


def test_images_are_not_correlated():
    normal = normal_noise(np.arange(50), (2000,), seed=0, stream="n").double()
    correlation = (normal @ normal.T / 2000).fill_diagonal_(0)
    assert correlation.abs().max() < 0.12  # 1225 pairs of standard deviation .022


def test_a_purpose_has_a_seed_of_its_own():
    assert derive_seed(0, "pairs") == derive_seed(0, "pairs")
    assert len({derive_seed(seed, purpose) for seed in (0, 1) for purpose in ("pairs", "other")}) == 4
