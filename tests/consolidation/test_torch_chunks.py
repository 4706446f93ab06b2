"""How a batch is cut: what fits, all images before all steps, and never nothing."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from integer_chains import busy_chain

from sleepdefense.consolidation.torch_chunks import plan_chunks
from sleepdefense.consolidation.torch_dynamics import to_device

SHAPE = (1, 5, 6)
CHAIN = [to_device(layer, num_steps=9, device=torch.device("cpu")) for layer in busy_chain()[2]]


def cut(chunk_bytes):
    return plan_chunks(CHAIN, SHAPE, num_images=19, num_steps=9, chunk_bytes=chunk_bytes)


def test_little_memory_takes_one_step_of_one_image_and_much_takes_all():
    assert cut(1) == (1, 1)
    assert cut(2**30) == (19, 9)


@given(st.integers(1, 2**22))
def test_more_memory_takes_more_and_images_come_before_steps(chunk_bytes):
    images, steps = cut(chunk_bytes)
    more_images, more_steps = cut(2 * chunk_bytes)
    assert more_images * more_steps >= images * steps
    # What is left beside the images may do for a second step of one, never for another image.
    assert images == 19 or images * (steps - 1) <= 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("competition", ["image", "step", "none"])
def test_a_gpu_takes_about_as_much_as_allowed(competition):
    from sleepdefense.consolidation.torch_engine import present_chain
    from sleepdefense.kernels import ChainLayer

    rng = np.random.default_rng(0)
    layer = ChainLayer(rng.integers(-9, 16, (64, 1, 5, 5), dtype=np.int32), np.zeros(64, np.int32), 40, 1, 2)
    images, index = torch.rand(256, 1, 28, 28).cuda(), torch.arange(256).cuda()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    present_chain(
        images,
        index,
        [layer],
        seed=0,
        num_steps=16,
        competition=competition,
        k=[5],
        radius=[3],
        learns=[True],
        chunk_bytes=2**28,
    )
    assert torch.cuda.max_memory_allocated() - before < 2 * 2**28
