from pathlib import Path

import pytest
import torch
from architectures import images
from torch import nn

from sleepdefense.checkpoint import load_checkpoint, save_checkpoint
from sleepdefense.conversion import to_awake, to_spiking
from sleepdefense.conversion.saving import network_from_checkpoint, spiking_checkpoint
from sleepdefense.errors import CheckpointError
from sleepdefense.models import build_model
from sleepdefense.spiking import simulate


def test_a_spiking_network_comes_back_bit_for_bit(tmp_path: Path) -> None:
    model = build_model("fc-vae", {"hidden": 12, "latent": 3, "size": 8}, seed=0)
    x = torch.rand(16, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    network = to_spiking(model, x)
    slept = network.with_weights({name: weight * 1.01 for name, weight in network.weights.items()})
    save_checkpoint(tmp_path / "s.h5", spiking_checkpoint(slept, provenance={"seed": 0}))
    loaded = network_from_checkpoint(load_checkpoint(tmp_path / "s.h5", kind="spiking"))
    assert [node.name for node in loaded.nodes] == [node.name for node in slept.nodes]
    for name, weight in slept.weights.items():
        assert torch.equal(loaded.weights[name], weight)
        assert torch.equal(loaded.origin[name], network.origin[name])
    for key, value in simulate(slept, x, num_steps=9).outputs.items():
        assert torch.equal(simulate(loaded, x, num_steps=9).outputs[key], value)
    woken, expected = to_awake(loaded).state_dict(), to_awake(slept).state_dict()
    assert all(torch.equal(woken[name], value) for name, value in expected.items())


def test_a_network_of_ones_own_needs_its_class_again(tmp_path: Path) -> None:
    def build() -> nn.Module:
        return nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(108, 2))

    network = to_spiking(build(), images(8))
    save_checkpoint(tmp_path / "s.h5", spiking_checkpoint(network, provenance={}))
    checkpoint = load_checkpoint(tmp_path / "s.h5")
    with pytest.raises(CheckpointError, match="a network of your own: pass one of its class as 'model'"):
        network_from_checkpoint(checkpoint)
    loaded = network_from_checkpoint(checkpoint, model=build())
    assert torch.equal(
        simulate(loaded, images(3), num_steps=5).outputs["output"],
        simulate(network, images(3), num_steps=5).outputs["output"],
    )
    with pytest.raises(CheckpointError, match="arrays are not those of the model"):
        network_from_checkpoint(checkpoint, model=nn.Linear(1, 1))
