"""Counts of pairings, by hand and in parts; against the kernels in test_torch_engine.py."""

import numpy as np
import pytest
import torch

from sleepdefense.consolidation.torch_dynamics import to_device
from sleepdefense.consolidation.torch_pairings import (
    Counts,
    count_coincidences_,
    count_pairings_,
    first_steps,
)
from sleepdefense.kernels import ChainLayer

# A kernel of 1 x 2 over three pixels and a rim of one: the first synapse of the first neuron is outside.
LAYER = to_device(
    ChainLayer(np.ones((1, 1, 1, 2), np.int32), np.zeros(1, np.int32), 1, 1, (0, 1)),
    num_steps=9,
    device=torch.device("cpu"),
)
PRE_STEP = torch.tensor([[[[0, 5, 9]]]], dtype=torch.int32)


def counted(counts):
    plus = counts.potentiation.flatten().tolist()
    return plus, (counts.paired - counts.potentiation[:, 0]).flatten().tolist()


@pytest.mark.parametrize(
    ("outside", "as_printed", "plus", "minus"),
    [
        # Neuron 0 sees the rim and 0 <= 3, neuron 1 sees 0 <= 6 and 5 <= 6, neuron 3 sees 9 > 6 and the rim.
        (False, False, [1, 2], [1, 0]),
        (True, False, [1, 2], [2, 1]),
        (False, True, [1, 0], [1, 2]),
        (True, True, [1, 0], [2, 3]),
    ],
)
def test_pairings_are_those_computed_by_hand(outside, as_printed, plus, minus):
    winner = torch.tensor([[0, 0, 0, 0, 3], [0, 0, 0, 1, 6], [0, 0, 0, 3, 6]])
    counts = Counts.none(LAYER)
    for chunk_bytes, times in ((1, 1), (2**20, 2)):  # one by one, and then all at once on top
        count_pairings_(
            counts,
            LAYER,
            PRE_STEP,
            winner,
            depress_outside=outside,
            as_printed=as_printed,
            chunk_bytes=chunk_bytes,
        )
        assert counted(counts) == ([times * each for each in plus], [times * each for each in minus])
        assert counts.winners.tolist() == [3 * times]


@pytest.mark.parametrize(("outside", "minus"), [(False, [1, 1]), (True, [2, 1])])
def test_coincidences_are_those_computed_by_hand(outside, minus):
    pre = torch.tensor([[1, 0, 0], [0, 1, 1]], dtype=torch.bool).view(2, 1, 1, 1, 3)
    post = torch.tensor([[1, 0, 0, 0], [0, 1, 1, 0]], dtype=torch.bool).view(2, 1, 1, 1, 4)
    counts = Counts.none(LAYER)
    # step 0, neuron 0: rim, 1. step 1, neuron 1: 0, 1; neuron 2: 1, 1.
    count_coincidences_(counts, LAYER, pre, post, depress_outside=outside)
    plus, found = counted(counts)
    assert plus == [1, 3]
    assert found == [minus[0], 0]
    assert counts.winners.tolist() == [3]


def test_first_steps_go_on_from_chunk_to_chunk():
    spikes = torch.tensor([[0, 1, 0], [0, 1, 1]], dtype=torch.bool).view(2, 1, 1, 1, 3)
    before = torch.full((1, 1, 1, 3), 9, dtype=torch.int32)
    early = first_steps(spikes, before, first_step=0)
    assert early.flatten().tolist() == [9, 0, 1]
    later = first_steps(~spikes, early, first_step=2)
    assert later.flatten().tolist() == [2, 0, 1]
    assert later.dtype == torch.int32
