import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sleepdefense.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from sleepdefense.errors import CheckpointError
from sleepdefense.models import AbstractAwakeModel, awake_checkpoint, build_model, model_from_checkpoint


def test_a_model_survives_a_file(model: AbstractAwakeModel, image: torch.Tensor, tmp_path: Path) -> None:
    model(image)  # in training mode: the statistics of the batch norms move
    save_checkpoint(tmp_path / "awake.h5", awake_checkpoint(model, provenance={"seed": 0}))
    loaded = load_checkpoint(tmp_path / "awake.h5", kind="awake")
    again = model_from_checkpoint(loaded)
    assert not again.training
    assert (again.name, again.settings) == (model.name, model.settings)
    assert loaded.provenance == {"seed": 0}
    for name, value in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], value)
        assert again.state_dict()[name].dtype == value.dtype


def test_a_checkpoint_is_a_copy() -> None:
    model = build_model("c4", {"hidden": 3, "size": 4}, seed=0)
    checkpoint = awake_checkpoint(model, provenance={})
    before = checkpoint.arrays["layers.1.weight"].copy()
    with torch.no_grad():
        model.layers[1].weight.zero_()
    np.testing.assert_array_equal(checkpoint.arrays["layers.1.weight"], before)


def _broken(**changes: Any) -> Checkpoint:
    model = build_model("c4", {"hidden": 3, "size": 4}, seed=0)
    return dataclasses.replace(awake_checkpoint(model, provenance={}), **changes)


def _arrays(**changes: Any) -> dict[str, Any]:
    arrays = dict(_broken().arrays)
    for name, value in changes.items():
        arrays.pop(name) if value is None else arrays.update({name: value})
    return arrays


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "spiking"}, "is of kind 'spiking': expected 'awake'"),
        ({"settings": {"model": 3}}, "must hold 'model', a name, and 'model_settings', an object"),
        (
            {"settings": {"model": "c9", "model_settings": {}}},
            "no model of this release: there is no model 'c9'",
        ),
        (
            {"settings": {"model": "c4", "model_settings": {"hidden": 0}}},
            "no model of this release: setting 'hidden' of model 'c4' must be >= 1, got 0",
        ),
        (
            {"settings": {"model": "c4", "model_settings": {"hidden": 200_000, "size": 4}}},
            r"array 'layers.1.weight' is of shape \(3, 16\) .* expected \(200000, 16\)",
        ),
        (
            {"settings": {"model": "c4", "model_settings": {"hidden": 10**30, "size": 4}}},
            "describes a model beyond any memory",
        ),
        ({"arrays": _arrays(**{"layers.1.bias": None})}, "missing are 'layers.1.bias', left over are none"),
        ({"arrays": _arrays(extra=np.zeros(1))}, "missing are none, left over are 'extra'"),
        ({"arrays": {}}, "'layers.5.bias', left over|and 1 more"),
        (
            {"arrays": _arrays(**{"layers.1.bias": np.zeros(4, np.float32)})},
            r"array 'layers.1.bias' is of shape \(4,\) and type float32: expected \(3,\) and float32",
        ),
        (
            {"arrays": _arrays(**{"layers.1.bias": np.zeros(3)})},
            r"array 'layers.1.bias' is of shape \(3,\) and type float64: expected \(3,\) and float32",
        ),
    ],
)
def test_what_does_not_fit_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        model_from_checkpoint(_broken(**changes))
