from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy

from sleepdefense.attacks.gradient import loss_gradient
from sleepdefense.data import ImageSet
from sleepdefense.errors import ConfigError
from sleepdefense.models import MadryCNN, build_model
from sleepdefense.models.base import AbstractClassifier
from sleepdefense.training import AdversarialConfig, TrainConfig, train_adversarial
from sleepdefense.training.adversarial import AdversarialLoss

CONFIG = TrainConfig(epochs=2, batch_size=10, device="cpu")
OPTIONS = AdversarialConfig(epsilon=0.3, steps=3, step_size=0.15, ramp=3)


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
    model = AdversarialLoss(small(), AdversarialConfig(epsilon=0.2, steps=4, step_size=0.1)).eval()
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
    whole = train_adversarial(small(), data(), CONFIG, OPTIONS, checkpoint=tmp_path / "whole.h5")
    once = TrainConfig(epochs=1, batch_size=10, device="cpu")
    state = tmp_path / "parts.h5"
    train_adversarial(small(), data(), once, OPTIONS, checkpoint=state)
    parts = train_adversarial(small(), data(), CONFIG, OPTIONS, checkpoint=state, resume=True)
    assert parts.losses == whole.losses
    assert (tmp_path / "parts.h5").read_bytes() == (tmp_path / "whole.h5").read_bytes()
    assert isinstance(whole.model, MadryCNN)


def test_wrong_settings_are_named() -> None:
    for settings, words in (
        ({"epsilon": 0.0}, r"epsilon must be in \(0, 1\]"),
        ({"steps": 0}, "steps must be >= 1"),
        ({"step_size": -1.0}, "step_size must be > 0"),
        ({"ramp": -1}, "ramp must be >= 0"),
        ({"alpha": 1.5}, r"alpha must be in \[0, 1\]"),
    ):
        with pytest.raises(ConfigError, match=words):
            AdversarialConfig(**settings)  # type: ignore[arg-type]


def test_a_single_step_from_the_image_is_eq_4() -> None:
    model, images, labels = small(), data().images, data().labels
    leaf = images.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(cross_entropy(model(leaf), labels), leaf)
    attacked = (images + 0.1 * gradient.sign()).clamp(0, 1)
    expected = 0.3 * cross_entropy(model(images), labels) + 0.7 * cross_entropy(model(attacked), labels)
    options = AdversarialConfig.fast_gradient(epsilon=0.1, alpha=0.3)
    found = AdversarialLoss(model, options).loss(images, images, labels, generator=torch.Generator())
    torch.testing.assert_close(found, expected)


def test_attacked_images_may_leave_the_range() -> None:
    images, labels = data().images, data().labels
    attacked = AdversarialLoss(small(), AdversarialConfig(steps=2, clip=False))._attacked(
        images, labels, 1.0, torch.Generator().manual_seed(0)
    )
    assert float(attacked.min()) < 0
    assert float(attacked.max()) > 1
    assert float((attacked - images).abs().max()) <= 0.3 + 1e-6


def test_the_network_is_attacked_as_it_judges_and_left_in_training() -> None:
    classifier = build_model("c1", {"size": 28, "num_classes": 3}, seed=0).train()
    assert isinstance(classifier, AbstractClassifier)
    images = torch.rand(4, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    loss = AdversarialLoss(classifier, AdversarialConfig(steps=2))
    labels, draws = torch.tensor([0, 1, 2, 0]), [torch.Generator().manual_seed(0) for _ in range(2)]
    torch.manual_seed(1)  # dropout, if it were on, would draw from here
    first = loss._attacked(images, labels, 1.0, draws[0])
    torch.manual_seed(2)
    assert torch.equal(loss._attacked(images, labels, 1.0, draws[1]), first)
    assert all(part.training for part in classifier.modules())


def test_training_on_attacked_images_helps_against_the_attack() -> None:
    """Classes differ in the brightness of the upper half, by more than twice epsilon."""
    labels = torch.arange(60) % 2
    images = 0.2 * torch.rand(60, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    images[:, :, :4] += 0.7 * labels[:, None, None, None]
    model = build_model("saturating-relu-mlp", {"hidden": 12, "size": 8, "num_classes": 2}, seed=0)
    assert isinstance(model, AbstractClassifier)
    learned = ImageSet(name="halves", images=images, labels=labels, num_classes=2)
    config = TrainConfig(epochs=20, batch_size=10, learning_rate=1e-2, device="cpu")
    trained = train_adversarial(model, learned, config, AdversarialConfig.fast_gradient()).model
    gradient = loss_gradient(trained, images, labels)
    attacked = (images + 0.25 * gradient.sign()).clamp(0, 1)
    assert float((trained(attacked).argmax(1) == labels).double().mean()) > 0.9
