from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy

from sleepdefense.data import ImageSet
from sleepdefense.errors import ConfigError
from sleepdefense.models import MadryCNN, build_model
from sleepdefense.training import MadryConfig, TrainConfig, train_madry
from sleepdefense.training.madry import AdversarialLoss

CONFIG = TrainConfig(epochs=2, batch_size=10, device="cpu")
OPTIONS = MadryConfig(epsilon=0.3, steps=3, step_size=0.15, ramp=3)


def small() -> MadryCNN:
    model = build_model("madry", {"width": 2, "hidden": 8, "size": 8, "num_classes": 3}, seed=0)
    assert isinstance(model, MadryCNN)
    return model


def data(num: int = 20) -> ImageSet:
    images = torch.rand(num, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    return ImageSet(name="noise", images=images, labels=torch.arange(num) % 3, num_classes=3)


def test_the_published_network_has_the_published_size() -> None:
    model = build_model("madry", {}, seed=0)
    assert sum(weight.numel() for weight in model.parameters()) == 3_274_634


def test_the_loss_is_that_of_images_attacked_within_epsilon() -> None:
    model = AdversarialLoss(small(), MadryConfig(epsilon=0.2, steps=4, step_size=0.1)).eval()
    images, labels = data().images, data().labels
    attacked = model._attacked(images, labels, 1.0, torch.Generator().manual_seed(0))
    assert float((attacked - images).abs().max()) <= 0.2 + 1e-6
    assert 0 <= float(attacked.min()) <= float(attacked.max()) <= 1
    with torch.no_grad():
        clean = cross_entropy(model(images), labels)
        hard = model.loss(images, images, labels, generator=torch.Generator().manual_seed(0))
        torch.testing.assert_close(hard, cross_entropy(model(attacked), labels))
    assert float(hard) > float(clean)


def test_the_ramp_counts_steps_in_training_only() -> None:
    model = AdversarialLoss(small(), OPTIONS)
    images, labels = data().images, data().labels
    model.eval().loss(images, images, labels, generator=torch.Generator())
    assert int(model.get_buffer("step")) == 0
    model.train()
    for _ in range(2):
        model.loss(images, images, labels, generator=torch.Generator())
    assert int(model.get_buffer("step")) == 2


def test_resumed_is_the_same_as_uninterrupted(tmp_path: Path) -> None:
    whole = train_madry(small(), data(), CONFIG, OPTIONS, checkpoint=tmp_path / "whole.h5")
    once = TrainConfig(epochs=1, batch_size=10, device="cpu")
    state = tmp_path / "parts.h5"
    train_madry(small(), data(), once, OPTIONS, checkpoint=state)
    parts = train_madry(small(), data(), CONFIG, OPTIONS, checkpoint=state, resume=True)
    assert parts.losses == whole.losses
    assert (tmp_path / "parts.h5").read_bytes() == (tmp_path / "whole.h5").read_bytes()
    assert isinstance(whole.model, MadryCNN)


def test_wrong_settings_are_named() -> None:
    for settings, words in (
        ({"epsilon": 0.0}, r"epsilon must be in \(0, 1\]"),
        ({"steps": 0}, "steps must be >= 1"),
        ({"step_size": -1.0}, "step_size must be > 0"),
        ({"ramp": -1}, "ramp must be >= 0"),
    ):
        with pytest.raises(ConfigError, match=words):
            MadryConfig(**settings)  # type: ignore[arg-type]
