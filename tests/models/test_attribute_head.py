from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from sleepdefense.conversion import to_awake, to_spiking
from sleepdefense.data import AttributeSet
from sleepdefense.errors import ConfigError
from sleepdefense.models import AbstractClassifier, awake_checkpoint, build_model, model_from_checkpoint
from sleepdefense.spiking import simulate
from sleepdefense.training import TrainConfig, train_classifier

TINY: dict[str, dict[str, Any]] = {
    "c1": {"width": 2, "size": 28},
    "c2": {"width": 2, "size": 8},
    "c3": {"hidden": 8, "size": 8},
    "c4": {"hidden": 8, "size": 8},
}
NAMES = ("Bald", "Male", "Smiling")


def _build(name: str) -> AbstractClassifier:
    model = build_model(name, {**TINY[name], "num_classes": 8, "attributes": 3}, seed=0)
    assert isinstance(model, AbstractClassifier)
    return model.eval()


def _faces(size: int) -> AttributeSet:
    generator = torch.Generator().manual_seed(1)
    return AttributeSet(
        name="noise",
        images=torch.rand(40, 1, size, size, generator=generator),
        attributes=torch.rand(40, 3, generator=generator) < 0.5,
        names=NAMES,
    )


@pytest.mark.parametrize("name", TINY)
def test_joint_cross_entropy_is_the_sum_of_the_attributes_losses(name: str) -> None:
    model, faces = _build(name), _faces(TINY[name]["size"])
    scores = model.layers[:-1](faces.images)
    assert scores.shape == (40, 3)
    joint = cross_entropy(model(faces.images), faces.joint().labels, reduction="none")
    apart = binary_cross_entropy_with_logits(scores, faces.attributes.float(), reduction="none")
    torch.testing.assert_close(joint, apart.sum(dim=1))
    predicted = model(faces.images).argmax(dim=1)
    for place in range(3):
        assert torch.equal(predicted >> place & 1 == 1, scores[:, place] > 0)


@pytest.mark.slow
def test_training_leaves_the_fixed_map_alone_and_resumes(tmp_path: Path) -> None:
    model, data = _build("c4"), _faces(8).joint()
    fixed = model.layers[-1].weight.clone()
    assert fixed.tolist()[6] == [0.0, 1.0, 1.0]
    config = TrainConfig(epochs=3, batch_size=8, learning_rate=1e-2, device="cpu")
    result = train_classifier(model, data, config)
    assert result.losses[-1] < result.losses[0]
    assert torch.equal(result.model.layers[-1].weight, fixed)
    path = tmp_path / "training.h5"
    train_classifier(model, data, replace(config, epochs=1), checkpoint=path)
    again = train_classifier(model, data, config, checkpoint=path, resume=True)
    assert torch.equal(again.model(data.images), result.model(data.images))
    loaded = model_from_checkpoint(awake_checkpoint(result.model, provenance={}))
    assert torch.equal(loaded(data.images), result.model(data.images))


def test_it_becomes_spiking_and_awake_again() -> None:
    model, images = _build("c4"), _faces(8).images
    spiking = to_spiking(model, images, percentile=100.0)
    with torch.no_grad():
        logits = model(images)
        assert torch.equal(to_awake(spiking)(images), logits)
    (found,) = simulate(spiking, images, num_steps=256).outputs.values()
    assert (found - logits).abs().max() < 0.05 * logits.std()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"attributes": 2},
            "setting 'attributes' of model 'c4' must fit the classes: 2 attributes make 4, got 10",
        ),
        ({"attributes": -1}, r"setting 'attributes' of model 'c4' must be in \[0, 12\], got -1"),
        ({"attributes": 13}, r"setting 'attributes' of model 'c4' must be in \[0, 12\], got 13"),
    ],
)
def test_attributes_that_do_not_make_the_classes_are_refused(settings: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_model("c4", settings, seed=0)
