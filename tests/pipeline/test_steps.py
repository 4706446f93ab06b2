"""Where a step computes."""

import pytest
import torch

from sleepdefense.checkpoint import load_checkpoint
from sleepdefense.config import ModelConfig, PairsConfig, SleepSection
from sleepdefense.data import load_data
from sleepdefense.errors import ConfigError
from sleepdefense.models import DefenseGAN
from sleepdefense.pipeline import Context, sleep_step, train_step, wake_step


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


def test_another_command_finds_what_a_first_one_made(finished_run, tmp_path):
    data, _ = load_data("digits", limit=32)
    section = SleepSection(settings={"num_steps": 4, "batch_size": 16, "max_images": 32})
    out, woken = tmp_path / "slept.h5", tmp_path / "woken.h5"

    def sleep_and_wake(context):
        sleep_step(finished_run / "spiking.h5", data, out, context, section=section, seed=0)
        wake_step(out, woken, context)
        return out.read_bytes(), woken.read_bytes()

    first = sleep_and_wake(Context(command="sleepdefense reproduce one"))
    assert sleep_and_wake(Context(command="sleepdefense reproduce another", resume=True)) == first


def test_a_gan_needs_no_classifier_to_attack(tmp_path):
    data, _ = load_data("digits", limit=16)
    config = ModelConfig(
        model="defense-gan",
        settings={"width": 1, "latent": 2, "steps": 1, "restarts": 1},
        epochs=1,
        batch_size=8,
    )
    out = tmp_path / "gan.h5"
    trained = train_step(config, data, out, Context(), seed=0, pairs=PairsConfig())
    assert isinstance(trained, DefenseGAN)
    again = train_step(config, data, out, Context(resume=True), seed=0)  # which attacks plays no part
    assert torch.equal(again(data.images[:2]), trained(data.images[:2]))
