"""Winners of many samples at once against the plain twin, image by image and step by step."""

import naive
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from integer_chains import DEVICES
from numpy.testing import assert_array_equal

from sleepdefense.consolidation.torch_kwta import check_claims, claims, select_winners, step_of
from sleepdefense.errors import SleepError

NUM_STEPS, HIGHEST = 4, 7


@st.composite
def trains(draw):
    """Spikes (time, image, feature, height, width), and potentials of few values."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = draw(st.tuples(*[st.integers(1, most) for most in (3, 4, 5, 5)]))
    spikes = rng.random((NUM_STEPS, *shape)) < draw(st.sampled_from([0.0, 0.1, 0.5, 1.0]))
    return spikes, rng.integers(1, draw(st.integers(2, HIGHEST + 1)), spikes.shape)


@DEVICES
@given(case=trains(), k=st.integers(1, 5), radius=st.integers(0, 3), cut=st.integers(1, NUM_STEPS))
def test_winners_are_those_of_the_twin(device, case, k, radius, cut):
    spikes, potential = case
    options = {"num_steps": NUM_STEPS, "highest": HIGHEST}
    parts = []
    for first in range(0, NUM_STEPS, cut):
        some = torch.from_numpy(spikes[first : first + cut]).to(device)
        held = torch.from_numpy(potential[first : first + cut]).float().to(device)
        parts.append(claims(some, held, first_step=first, **options))
    claim = torch.cat(parts)
    once = select_winners(claim.amax(0), k=k, radius=radius)
    once[:, 4] = step_of(once[:, 4], **options)
    now = select_winners(claim.flatten(0, 1), k=k, radius=radius)
    now[:, 4] = step_of(now[:, 4], **options)
    num_images = spikes.shape[1]
    for image in range(num_images):
        first = naive.first_steps(spikes[:, image])
        at_first = np.take_along_axis(potential[:, image], np.minimum(first, NUM_STEPS - 1)[None], 0)[0]
        expected = naive.select_winners(first, at_first, num_steps=NUM_STEPS, k=k, radius=radius)
        assert_array_equal(once[once[:, 0] == image, 1:].cpu().numpy(), expected)
        for step in range(NUM_STEPS):
            fires = np.where(spikes[step, image], step, NUM_STEPS)
            expected = naive.select_winners(
                fires, potential[step, image], num_steps=NUM_STEPS, k=k, radius=radius
            )
            here = now[now[:, 0] == step * num_images + image]
            assert_array_equal(here[:, 1:].cpu().numpy(), expected)


def test_the_earlier_then_the_higher_then_the_lower_index_wins():
    spikes = torch.zeros(2, 1, 3, 1, 1, dtype=torch.bool)
    spikes[0, 0, 2], spikes[1, 0, :2] = True, True
    potential = torch.tensor([[5.0, 5.0, 4.0], [6.0, 6.0, 7.0]]).view(2, 1, 3, 1, 1)
    claim = claims(spikes, potential, first_step=0, num_steps=2, highest=7).amax(0)
    assert claim.flatten().tolist() == [6, 6, 8 + 4]
    won = select_winners(claim, k=3, radius=0)
    assert won[:, 1].tolist() == [2, 0, 1]
    assert step_of(won[:, 4], num_steps=2, highest=7).tolist() == [0, 1, 1]


def test_claims_that_fit_63_bits_are_exact():
    num_steps, highest, num_neurons = 2**10, 2**50 - 1, 4
    with pytest.raises(SleepError, match=r"5 neurons .* cannot be ranked in 63 bits"):
        check_claims(2 * num_steps, highest, num_neurons + 1)
    check_claims(num_steps, highest, num_neurons)
    potential = torch.tensor([float(highest - 1), float(highest), float(highest), 1.0], dtype=torch.float64)
    claim = claims(
        torch.ones(1, 1, 4, 1, 1, dtype=torch.bool),
        potential.view(1, 1, 4, 1, 1),
        first_step=0,
        num_steps=num_steps,
        highest=highest,
    )
    won = select_winners(claim[0], k=4, radius=0)
    assert won[:, 1].tolist() == [1, 2, 0, 3]
    assert step_of(won[:, 4], num_steps=num_steps, highest=highest).tolist() == [0, 0, 0, 0]
