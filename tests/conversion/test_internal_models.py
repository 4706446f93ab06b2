"""Denoised internal models asleep: converted, slept, woken, and evaluated as a spiking network."""

import pytest
import torch

from sleepdefense.consolidation import MirroredSTDP, SleepConfig, sleep
from sleepdefense.conversion import to_awake, to_spiking
from sleepdefense.conversion.saving import network_from_checkpoint, spiking_checkpoint
from sleepdefense.evaluation.spiking_system import SpikingSystem
from sleepdefense.models import DIM, build_model
from sleepdefense.spiking import simulate

SMALL = {"denoiser_width": 64, "width": 16, "bottleneck": 8, "latent": 4, "size": 6, "num_classes": 3}


def small(name: str) -> DIM:
    model = build_model(name, SMALL, seed=3)
    assert isinstance(model, DIM)
    return model.eval()


def images(num: int) -> torch.Tensor:
    return torch.rand(num, 1, 6, 6, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", ["dim", "im", "dn-single-im", "single-im"])
def test_the_spiking_network_answers_as_the_awake_one(name: str) -> None:
    model = small(name)
    network = to_spiking(model, images(64))
    ends = [node for node in network.nodes if node.op == "tanh"]
    assert len(ends) == 3 + bool(model.denoiser)  # read from the membrane, the denoiser's too
    assert not any(node.op == "signed_bernoulli" for node in network.nodes)
    batch = images(4)
    with torch.no_grad():
        outputs = simulate(network, batch, num_steps=512).outputs
        for key, value in model.outputs(batch).items():
            torch.testing.assert_close(outputs[key].float(), value, atol=0.05, rtol=0)
        system = SpikingSystem(network, num_steps=512)
        torch.testing.assert_close(system(batch), model(batch), atol=0.05, rtol=0.05)


def test_sleep_moves_weights_within_the_stacks_and_wakes() -> None:
    model = small("im")
    network = to_spiking(model, images(64))
    slept = sleep(network, images(64), MirroredSTDP(), config=SleepConfig(rho=0.05, batch_size=16, seed=0))
    woken = to_awake(slept)
    assert isinstance(woken, DIM)
    moved = [
        name
        for name, weight in woken.state_dict().items()
        if not torch.equal(weight, model.state_dict()[name])
    ]
    assert moved
    assert all(name.endswith("weight") for name in moved)
    again = network_from_checkpoint(spiking_checkpoint(slept.network, provenance={}))
    assert torch.equal(to_awake(again)(images(3)), woken(images(3)))
    unchanged = to_awake(network)
    for name, weight in unchanged.state_dict().items():
        assert torch.equal(weight, model.state_dict()[name])
