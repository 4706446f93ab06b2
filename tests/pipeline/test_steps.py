"""Where a step computes."""

import pytest
import torch

from sleepdefense.checkpoint import load_checkpoint
from sleepdefense.config import SleepSection
from sleepdefense.data import load_data
from sleepdefense.errors import ConfigError
from sleepdefense.pipeline import Context, sleep_step


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_sleep_takes_the_processor_where_there_is_no_gpu(finished_run, tmp_path):
    data, _ = load_data("digits", limit=32)
    section = SleepSection(settings={"num_steps": 4, "batch_size": 16, "max_images": 32})

    def sleep(device):
        out = tmp_path / f"{device}.h5"
        sleep_step(finished_run / "spiking.h5", data, out, Context(device=device), section=section, seed=0)
        return load_checkpoint(out).arrays

    with pytest.raises(ConfigError, match="the device is 'cuda', but torch finds no GPU here"):
        sleep("cuda")
    assert not list(tmp_path.iterdir())
    alike = sleep("cpu"), sleep("auto")
    assert {name: array.tobytes() for name, array in alike[0].items()} == {
        name: array.tobytes() for name, array in alike[1].items()
    }
