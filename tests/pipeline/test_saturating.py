from pathlib import Path
from typing import Any

import pytest
import torch

from sleepdefense.checkpoint import load_checkpoint
from sleepdefense.config import ModelConfig
from sleepdefense.conversion import to_spiking
from sleepdefense.data import ImageSet
from sleepdefense.errors import ConfigError
from sleepdefense.models import SigmoidMLP, build_model
from sleepdefense.pipeline import Context
from sleepdefense.pipeline.saturating import train_in_mode
from sleepdefense.spiking import simulate

CONFIG = ModelConfig(
    model="saturating-sigmoid-mlp", settings={"hidden": 6}, epochs=2, batch_size=16, learning_rate=1e-2
)


def _data() -> ImageSet:
    generator = torch.Generator().manual_seed(0)
    return ImageSet(
        name="noise",
        images=torch.rand(40, 1, 6, 6, generator=generator),
        labels=torch.arange(40) % 3,
        num_classes=3,
    )


def _train(out: Path, mode: str = "saturated", resume: bool = False, **options: Any) -> torch.nn.Module:
    context = Context(command="test", resume=resume)
    how = {"seed": 0, "settings": {}, "held_out": 8} | options
    return train_in_mode(mode, CONFIG, _data(), out, context, **how)


def test_a_saturated_checkpoint_tells_its_history(tmp_path: Path) -> None:
    out = tmp_path / "net.h5"
    settings = {"maximum": 0.5, "epochs": 1, "increments": 2, "readout": "none", "tolerance": 1.0}
    model = _train(out, settings=settings)
    story = load_checkpoint(out, kind="awake").provenance["saturation"]
    assert [epoch["weight"] for epoch in story["history"]] == [0.5, 0.5]
    assert story["kept"] == 2
    again = _train(out, resume=True, settings=settings)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))


def test_a_training_begins_where_another_ended(tmp_path: Path) -> None:
    start, out = tmp_path / "start.h5", tmp_path / "net.h5"
    _train(start, "adversarial", settings={"epsilon": 0.1, "steps": 1})
    _train(out, settings={"tolerance": 1.0}, start=start)
    parent = load_checkpoint(out).provenance["digests"]["parent"]
    assert isinstance(parent, str)


@pytest.mark.parametrize(
    ("mode", "options", "message"),
    [
        (
            "saturated",
            {"settings": {"lambda": 1}},
            "unknown setting 'lambda': expected one of penalty, readout",
        ),
        ("adversarial", {"settings": {"maximum": 1}}, "unknown setting 'maximum': expected one of epsilon"),
        ("saturated", {"settings": {"penalty": 3}}, "'penalty' must be of type str, got 3"),
        ("adversarial", {"settings": {"steps": "many"}}, "'steps' must be of type int, got 'many'"),
        ("saturated", {"held_out": 39}, "39 held-out images leave 1 of 40 to train on"),
        ("frozen", {}, "there is no mode 'frozen'"),
    ],
)
def test_wrong_settings_are_named(tmp_path: Path, mode: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        _train(tmp_path / "net.h5", mode, **options)


def test_saturated_sigmoid_units_become_binary_neurons_that_are_exact_in_the_mean() -> None:
    model = build_model("saturating-sigmoid-mlp", {"hidden": 8, "size": 4}, seed=0).eval()
    assert isinstance(model, SigmoidMLP)
    with torch.no_grad():
        for part in (1, 3):
            model.layers[part].weight *= 400  # far into saturation
            model.layers[part].bias += 5
    images = torch.rand(5, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    network = to_spiking(model, images)
    drives = model.layers[1](model.layers[0](images))
    run = simulate(network, images, num_steps=400)
    first = next(rate for rate in run.rates.values() if rate.shape == drives.shape)
    expected = drives.sigmoid().detach()
    # 400 draws: five standard errors of a Bernoulli mean, exact where the unit is saturated
    error = 5 * (expected * (1 - expected) / 400).sqrt() + 1e-3
    assert bool(((first - expected).abs() <= error).all())
    assert float((drives.abs() > 7).double().mean()) > 0.8
