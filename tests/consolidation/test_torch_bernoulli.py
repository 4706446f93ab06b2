"""The spikes drawn in torch are those of the kernels, in any parts."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from integer_chains import DEVICES
from numpy.testing import assert_array_equal

from sleepdefense.consolidation.torch_bernoulli import bernoulli_spikes
from sleepdefense.kernels import bernoulli_train


@DEVICES
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 5), st.integers(1, 5)),
    seed=st.one_of(st.sampled_from([0, 1, 2**63 - 1]), st.integers(0, 2**63 - 1)),
    first_step=st.sampled_from([0, 3, 2**31 - 10]),
    num_steps=st.integers(0, 4),
    entropy=st.integers(0, 99),
)
def test_spikes_are_those_of_the_kernel(device, shape, seed, first_step, num_steps, entropy):
    rng = np.random.default_rng(entropy)
    images = rng.random(shape, dtype=np.float32)
    images.flat[:2] = (0.0, 1.0)[: images.size]
    index = rng.integers(0, 2**63 - 1, shape[0])
    how = {"seed": seed, "first_step": first_step, "num_steps": num_steps}
    found = bernoulli_spikes(torch.from_numpy(images).to(device), torch.from_numpy(index).to(device), **how)
    assert_array_equal(found.cpu().numpy(), bernoulli_train(images, index, **how))


def test_a_train_may_be_drawn_in_parts():
    images, index = torch.full((2, 1, 3, 3), 0.5), torch.tensor([4, 7])
    whole = bernoulli_spikes(images, index, seed=1, first_step=0, num_steps=9)
    parts = [
        bernoulli_spikes(images, index, seed=1, first_step=first, num_steps=steps)
        for first, steps in ((0, 4), (4, 5))
    ]
    assert torch.equal(torch.cat(parts), whole)
    assert 0.3 < whole.float().mean() < 0.7
