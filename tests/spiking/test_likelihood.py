import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sleepdefense.errors import ConversionError
from sleepdefense.spiking import train_log_likelihood


@given(
    train=st.lists(st.lists(st.integers(0, 1), min_size=3, max_size=3), min_size=1, max_size=6),
    logits=st.lists(st.floats(-6, 6), min_size=3, max_size=3),
)
def test_it_is_the_product_of_the_probabilities_of_every_step(
    train: list[list[int]], logits: list[float]
) -> None:
    expected = 0.0
    for step in train:
        for spike, logit in zip(step, logits, strict=True):
            rate = 1 / (1 + math.exp(-logit))
            expected += math.log(rate if spike else 1 - rate)
    counts = torch.tensor(train, dtype=torch.float64).sum(0)[None]
    found = train_log_likelihood(counts, torch.tensor([logits], dtype=torch.float64), len(train))
    assert float(found) == pytest.approx(expected, abs=1e-9)


def test_all_trains_together_have_probability_one() -> None:
    """Three steps, one unit: one train of no spikes, three of one, three of two, one of three."""
    logits = torch.full((4, 1), 0.7, dtype=torch.float64)
    probability = train_log_likelihood(torch.tensor([[0.0], [1.0], [2.0], [3.0]]).double(), logits, 3).exp()
    assert float(probability @ torch.tensor([1.0, 3.0, 3.0, 1.0]).double()) == pytest.approx(1.0)


def test_the_gradient_is_spikes_minus_rates() -> None:
    """Eq. 5 in discrete time."""
    logits = torch.tensor([[0.3, -1.0], [2.0, 0.0]], requires_grad=True)
    counts = torch.tensor([[4.0, 0.0], [1.0, 5.0]])
    train_log_likelihood(counts, logits, 5).sum().backward()
    torch.testing.assert_close(logits.grad, counts - 5 * torch.sigmoid(logits.detach()))


def test_impossible_pixels_stay_finite_and_have_a_gradient() -> None:
    logits = torch.tensor([[200.0]], requires_grad=True)
    value = train_log_likelihood(torch.tensor([[0.0]]), logits, 1)
    value.sum().backward()
    assert float(value.detach()) == pytest.approx(-200.0)
    assert float(logits.grad) == pytest.approx(-1.0)


def test_wrong_requests_are_refused() -> None:
    one = torch.ones(1, 2)
    with pytest.raises(ConversionError, match="'num_steps' must be >= 1, got 0"):
        train_log_likelihood(one, one, 0)
    with pytest.raises(ConversionError, match=r"the counts run from 1 to 4: expected 0 to 3"):
        train_log_likelihood(torch.tensor([[1.0, 4.0]]), one, 3)
    with pytest.raises(ConversionError, match=r"counts of shape \(1, 2\) do not fit logits of shape"):
        train_log_likelihood(one, torch.ones(1, 3), 1)
