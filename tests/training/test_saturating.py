from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from sleepdefense.data import ImageSet
from sleepdefense.errors import CheckpointError, ConfigError
from sleepdefense.models import ReLUMLP, SaturatingCNN, SigmoidMLP, build_model
from sleepdefense.models.layer_activity import layer_activity
from sleepdefense.training import (
    Annealing,
    SaturationConfig,
    TrainConfig,
    paper_annealing,
    train_saturating,
)
from sleepdefense.training.saturation_loss import (
    SaturatingLoss,
    contractive_penalty,
    saturation_penalty,
)

SIZE = 6


def _images(count: int, seed: int) -> ImageSet:
    """Bright left or bright right halves with noise: two classes that a small network learns at once."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(2, (count,), generator=generator)
    images = 0.3 * torch.rand(count, 1, SIZE, SIZE, generator=generator)
    images[labels == 0, :, :, :3] += 0.6
    images[labels == 1, :, :, 3:] += 0.6
    return ImageSet(name=f"halves/{seed}", images=images, labels=labels, num_classes=2)


TRAIN, HELD_OUT = _images(64, 0), _images(40, 1)
CONFIG = TrainConfig(epochs=4, batch_size=16, learning_rate=1e-2, device="cpu")
RISE = SaturationConfig(annealing=Annealing(maximum=0.5, increments=7, epochs=2, wait=1))


def _mlp(name: str = "saturating-sigmoid-mlp") -> SigmoidMLP:
    model = build_model(name, {"hidden": 8, "size": SIZE, "num_classes": 2}, seed=0)
    assert isinstance(model, SigmoidMLP | ReLUMLP)
    return model  # type: ignore[return-value]


@torch.no_grad()
def _unsaturated(model: torch.nn.Module) -> float:
    return float(saturation_penalty(layer_activity(model, HELD_OUT.images)).mean())


def _weights(model: torch.nn.Module) -> bytes:
    return b"".join(value.numpy().tobytes() for value in model.state_dict().values())


def test_annealing_rises_in_the_printed_steps() -> None:
    rise = paper_annealing("saturating-sigmoid-mlp", epochs_per_increment=0.5, wait=1)
    weights = [rise.weight(batch, batches_per_epoch=4) for batch in range(4, 12)]
    assert weights == pytest.approx([0.001, 0.001, 0.002, 0.002, 0.003, 0.003, 0.004, 0.004])
    assert rise.weight(3, batches_per_epoch=4) == 0
    assert rise.weight(10**6, batches_per_epoch=4) == pytest.approx(1.74)


def test_geometric_annealing_multiplies() -> None:
    rise = Annealing(maximum=1.0, minimum=1e-4, increments=4, epochs=1, shape="geometric")
    weights = [rise.weight(batch, batches_per_epoch=4) for batch in range(5)]
    assert weights == pytest.approx([1e-3, 1e-2, 1e-1, 1.0, 1.0])


def test_penalty_of_sigmoid_units_is_eq_8() -> None:
    model, images = _mlp(), TRAIN.images[:3]
    layers = layer_activity(model, images)
    by_hand = torch.zeros(3)
    for layer in layers:
        rate = layer.drive.sigmoid()
        by_hand += (rate * (1 - rate)).sum(1)
    torch.testing.assert_close(saturation_penalty(layers), by_hand)
    hidden = saturation_penalty(layers, readout="none")
    torch.testing.assert_close(saturation_penalty(layers, readout="identity"), hidden + model(images).sum(1))


def test_penalty_of_relu_units_is_eq_8() -> None:
    model = SaturatingCNN(width=2, size=SIZE, num_classes=2)
    layers = layer_activity(model, TRAIN.images[:3])
    by_hand = torch.stack([layer.drive.clamp(min=0).flatten(1).sum(1) for layer in layers]).sum(0)
    torch.testing.assert_close(saturation_penalty(layers), by_hand)


@pytest.mark.parametrize("name", ["saturating-sigmoid-mlp", "saturating-relu-mlp"])
def test_contractive_penalty_is_the_norm_of_the_jacobians(name: str) -> None:
    model = _mlp(name)
    layers = layer_activity(model, TRAIN.images[:3])
    maps = [module for module in model.layers if isinstance(module, torch.nn.Linear)]
    unit = torch.sigmoid if "sigmoid" in name else torch.relu
    expected = []
    for image in range(3):
        norms = []
        for before, following in zip(layers, maps[1:], strict=False):

            def step(drive: Tensor, following: torch.nn.Linear = following) -> Tensor:
                result: Tensor = following(unit(drive))
                return result

            jacobian = torch.autograd.functional.jacobian(step, before.drive[image].detach())
            norms.append(torch.linalg.matrix_norm(jacobian))
        expected.append(torch.stack(norms).sum())
    torch.testing.assert_close(contractive_penalty(model, layers), torch.stack(expected))


def test_contractive_penalty_refuses_convolutions() -> None:
    model = SaturatingCNN(width=2, size=SIZE, num_classes=2)
    with pytest.raises(ConfigError, match=r"layer 'layers\.3' is none"):
        contractive_penalty(model, layer_activity(model, TRAIN.images[:2]))


def test_saturating_training_raises_lambda_and_saturates() -> None:
    config = replace(CONFIG, epochs=8, learning_rate=3e-2)
    none = SaturationConfig(annealing=Annealing(maximum=0.0))
    start = train_saturating(_mlp(), TRAIN, config, none, held_out=HELD_OUT)
    plain = train_saturating(start.model, TRAIN, config, none, held_out=HELD_OUT)
    result = train_saturating(start.model, TRAIN, config, RISE, held_out=HELD_OUT)
    assert result.history[result.kept - 1].accuracy > 0.95

    assert _unsaturated(result.model) < 0.7 * _unsaturated(plain.model)
    assert [round(epoch.weight, 3) for epoch in result.history[:4]] == [0.0, 0.214, 0.5, 0.5]
    assert not result.diverged
    assert "lambda 0.5, held-out accuracy" in str(result)


def test_a_killed_training_resumes_to_the_same_bytes(tmp_path: Path) -> None:
    whole = train_saturating(_mlp(), TRAIN, CONFIG, RISE, held_out=HELD_OUT, checkpoint=tmp_path / "whole.h5")

    class Killed(Exception):  # noqa: N818
        pass

    def kill(done: int, total: int, text: str) -> None:
        if done > 2.3 * len(TRAIN):  # in the third epoch
            raise Killed

    path = tmp_path / "state.h5"
    with pytest.raises(Killed):
        train_saturating(_mlp(), TRAIN, CONFIG, RISE, held_out=HELD_OUT, checkpoint=path, progress=kill)
    resumed = train_saturating(_mlp(), TRAIN, CONFIG, RISE, held_out=HELD_OUT, checkpoint=path, resume=True)
    assert _weights(resumed.model) == _weights(whole.model)
    assert resumed.history == whole.history
    assert path.read_bytes() == (tmp_path / "whole.h5").read_bytes()
    kept, whole_kept = tmp_path / "state.kept.h5", tmp_path / "whole.kept.h5"
    assert kept.read_bytes() == whole_kept.read_bytes()


def test_a_finished_epoch_is_not_lost_when_its_state_was(tmp_path: Path) -> None:
    path = tmp_path / "state.h5"
    short = replace(CONFIG, epochs=2)
    train_saturating(_mlp(), TRAIN, short, RISE, held_out=HELD_OUT, checkpoint=path)
    before = path.read_bytes()
    train_saturating(_mlp(), TRAIN, CONFIG, RISE, held_out=HELD_OUT, checkpoint=path, resume=True)
    path.write_bytes(before)  # as if killed between history and state
    again = train_saturating(_mlp(), TRAIN, CONFIG, RISE, held_out=HELD_OUT, checkpoint=path, resume=True)
    whole = train_saturating(_mlp(), TRAIN, CONFIG, RISE, held_out=HELD_OUT)
    assert again.history == whole.history
    assert _weights(again.model) == _weights(whole.model)


def test_divergence_is_reported_and_rolled_back(tmp_path: Path) -> None:
    # a readout pushed down without a bound, far beyond what the classes are worth
    torn = SaturationConfig(
        annealing=Annealing(maximum=1e4, minimum=1e-3, increments=60, epochs=12, wait=2, shape="geometric"),
        tolerance=0.05,
        patience=2,
    )
    config = replace(CONFIG, epochs=20, learning_rate=3e-2)
    path = tmp_path / "state.h5"
    model = _mlp("saturating-relu-mlp")
    result = train_saturating(model, TRAIN, config, torn, held_out=HELD_OUT, checkpoint=path)
    accuracies = [epoch.accuracy for epoch in result.history]
    assert result.diverged
    assert len(result.history) == result.kept + 2 < 20
    assert accuracies[result.kept - 1] >= max(accuracies) - 0.05
    assert max(accuracies[result.kept :]) < max(accuracies) - 0.05
    assert result.weight == result.history[result.kept - 1].weight
    right = result.model(HELD_OUT.images).argmax(1) == HELD_OUT.labels
    assert float(right.double().mean()) == pytest.approx(accuracies[result.kept - 1])
    assert str(result).startswith("diverged, rolled back; kept epoch")
    again = train_saturating(
        model, TRAIN, config, torn, held_out=HELD_OUT, checkpoint=path, resume=True
    )  # what has ended stays so
    assert _weights(again.model) == _weights(result.model)
    assert again.history == result.history


def test_other_settings_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.h5"
    train_saturating(_mlp(), TRAIN, replace(CONFIG, epochs=1), RISE, held_out=HELD_OUT, checkpoint=path)
    with pytest.raises(CheckpointError, match="holds another training"):
        train_saturating(
            _mlp(),
            TRAIN,
            CONFIG,
            replace(RISE, readout="none"),
            held_out=HELD_OUT,
            checkpoint=path,
            resume=True,
        )


def test_the_batch_is_counted_in_training_only() -> None:
    loss = SaturatingLoss(_mlp(), RISE, batches_per_epoch=4)
    for training in (False, True):
        loss.train(training)
        loss.loss(TRAIN.images[:4], TRAIN.images[:4], TRAIN.labels[:4], generator=torch.Generator())
    assert int(loss.batch_number) == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"penalty": "l2"}, "saturation.penalty must be one of saturation, contraction"),
        ({"readout": "z"}, "saturation.readout must be one of as hidden, identity, none"),
        ({"tolerance": 2.0}, r"saturation.tolerance must be in \[0, 1\], got 2.0"),
        ({"patience": 0}, "saturation.patience must be >= 1, got 0"),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SaturationConfig(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"maximum": 1.0, "shape": "wavy"}, "annealing.shape must be one of linear, geometric"),
        ({"maximum": 1.0, "minimum": 2.0}, "0 <= minimum <= maximum, got 2.0 and 1.0"),
        ({"maximum": 1.0, "shape": "geometric"}, "a geometric annealing needs a minimum > 0"),
        ({"maximum": 1.0, "epochs": 0.0}, "annealing needs increments >= 1, epochs > 0"),
    ],
)
def test_wrong_schedules_are_named(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Annealing(**settings)  # type: ignore[arg-type]
