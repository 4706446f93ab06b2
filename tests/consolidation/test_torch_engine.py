"""The torch engine gives what the compiled kernels give, to the last count, in whatever chunks."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from integer_chains import DEVICES, busy_chain, chain_sleeps
from numpy.testing import assert_array_equal

from sleepdefense.consolidation import MirroredSTDP, SleepConfig, sleep
from sleepdefense.consolidation.choose_engine import choose_engine
from sleepdefense.consolidation.plan import settle
from sleepdefense.consolidation.torch_engine import TorchEngine, present_chain
from sleepdefense.errors import ConfigError, SleepError
from sleepdefense.kernels import ChainLayer, sleep_images
from sleepdefense.spiking import TorchBackend

SETTINGS = {"seed": 5, "num_steps": 9, "k": [3, 2, 1], "radius": [2, 1, 0], "learns": [True] * 3}


def present(images, index, chain, *, device="cpu", **options):
    """Return potentiation, depression, winners and spikes of each layer, as `sleep_images` has them."""
    place = torch.device(device)
    events = present_chain(
        torch.from_numpy(images).to(place), torch.from_numpy(index).to(place), chain, **options
    )
    found = []
    for count, layer in zip(events.counts, chain, strict=True):
        if count is None:
            nothing = np.zeros((0, *layer.weight.shape[1:]))
            found.append((nothing, nothing, np.zeros(len(layer.weight))))
        else:
            counts = (count.potentiation, count.paired[:, None] - count.potentiation, count.winners)
            found.append(tuple(values.cpu().numpy() for values in counts))
    return found, events.spikes


def assert_same_record(found, record):
    layers, spikes = found
    for number, (plus, minus, winners) in enumerate(layers):
        assert_array_equal(plus, record.potentiation[number])
        assert_array_equal(minus, record.depression[number])
        assert_array_equal(winners, record.winner_count[number])
    assert_array_equal(spikes, record.spike_count)


@DEVICES
@settings(max_examples=150)
@given(chain_sleeps())
def test_it_counts_what_the_kernels_count(device, case):
    images, index, chain, options = case
    record = sleep_images(images, index, chain, **options)
    assert_same_record(present(images, index, chain, device=device, **options), record)


@DEVICES
@pytest.mark.parametrize("chunk_bytes", [1, 20_000, 100_000, 2**30])
@pytest.mark.parametrize("competition", ["image", "step", "none"])
def test_chunks_change_nothing(competition, chunk_bytes, device):
    images, index, chain = busy_chain()
    record = sleep_images(images, index, chain, competition=competition, **SETTINGS)
    assert all(count.sum() > 0 for count in (*record.potentiation, *record.depression))
    found = present(
        images, index, chain, competition=competition, chunk_bytes=chunk_bytes, device=device, **SETTINGS
    )
    assert_same_record(found, record)


def test_numbers_beyond_what_is_exact_are_refused():
    image, index = torch.ones(1, 1, 1, 1), torch.zeros(1, dtype=torch.int64)
    options = {"seed": 0, "k": [1], "radius": [0], "learns": [True], "competition": "image"}
    layer = ChainLayer(np.full((1, 1, 1, 1), 2**30, dtype=np.int32), np.zeros(1, dtype=np.int32), 2**30)
    with pytest.raises(SleepError, match=f"may reach {2**54} grid units"):
        present_chain(image, index, [layer], num_steps=2**24, **options)
    wide = ChainLayer(np.full((2**13, 1, 1, 1), 2**30, np.int32), np.zeros(2**13, np.int32), 2**30)
    with pytest.raises(SleepError, match=f"up to {2**41} grid units, in 2048 steps, cannot be ranked"):
        present_chain(image, index, [wide], num_steps=2**11, **options)
    one = layer._replace(weight=np.ones((1, 1, 1, 1), dtype=np.int32), threshold=1)
    many = image.expand(2**10, 1, 2**5, 2**5)
    options["competition"] = "none"
    with pytest.raises(SleepError, match=f"may be counted {2**31} times in a batch.* lower 'batch_size'"):
        present_chain(many, index.expand(2**10), [one], num_steps=2**11, **options)


@pytest.mark.parametrize("competition", ["image", "step", "none"])
def test_a_sleep_ends_with_the_same_weights(conv, images, competition):
    options = {"competition": competition, "num_steps": 6, "batch_size": 16, "max_images": 48}
    fused, torched = (
        sleep(conv, images, config=SleepConfig(engine=engine, **options)) for engine in ("fused", "torch")
    )
    assert torched.diary.notes[0] == "engine: torch on 'cpu'"
    for name, weight in fused.network.weights.items():
        assert_array_equal(torched.network.weights[name].numpy(), weight.numpy(), strict=True)
    moved = torched.network.weights["encoder.3"] - conv.weights["encoder.3"]
    assert moved.abs().max() > 0
    for name, values in fused.diary.arrays().items():
        assert_array_equal(torched.diary.arrays()[name], values, strict=True)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_sleep_on_a_gpu_ends_with_the_same_weights(conv, images):
    config = SleepConfig(num_steps=6, batch_size=16, max_images=48)
    fused, torched = sleep(conv, images, config=config), sleep(conv, images.cuda(), config=config)
    assert torched.diary.notes[0] == "engine: torch on 'cuda'"
    for name, weight in fused.network.weights.items():
        assert_array_equal(torched.network.weights[name].cpu().numpy(), weight.numpy(), strict=True)


def test_a_gpu_takes_the_torch_engine_where_it_can(conv, residual):
    config, gpu = SleepConfig(), torch.device("cuda")
    chosen = choose_engine(settle(conv, MirroredSTDP(), config), gpu, threads=None, backend=None)
    assert isinstance(chosen, TorchEngine)
    branched = choose_engine(settle(residual, MirroredSTDP(), config), gpu, threads=None, backend=None)
    assert branched.note.startswith("engine: reference with SnntorchBackend (the network is no chain: 'add'")


def test_the_torch_engine_is_not_replaced_in_silence(residual, conv, images):
    config = SleepConfig(engine="torch")
    with pytest.raises(SleepError, match="the torch engine cannot run this network: the network is no chain"):
        sleep(residual, images, config=config)
    with pytest.raises(ConfigError, match=r"sleep\.engine is 'torch', which takes no 'backend'"):
        sleep(conv, images, config=config, backend=TorchBackend())


def test_memory_is_no_part_of_what_a_sleep_is():
    assert SleepConfig(chunk_bytes=1).to_json() == SleepConfig().to_json()
    with pytest.raises(ConfigError, match=r"sleep.chunk_bytes must be >= 1, got 0"):
        SleepConfig(chunk_bytes=0)
