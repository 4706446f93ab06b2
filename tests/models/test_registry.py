"""What holds for every registered model."""

import copy
import json
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor, fx

from sleepdefense.errors import ConfigError, ConversionError
from sleepdefense.models import (
    ABS,
    DIM,
    MODELS,
    AbstractAwakeModel,
    AbstractClassifier,
    AbstractPurifier,
    build_model,
)
from sleepdefense.models.stages import trace_stages
from sleepdefense.models.vae import AbstractVAE


def _state(model: torch.nn.Module) -> dict[str, bytes]:
    return {name: value.numpy().tobytes() for name, value in model.state_dict().items()}


def _trace(model: torch.nn.Module, method: str) -> fx.GraphModule:
    tracer = fx.Tracer()
    tracer.traced_func_name = method
    return fx.GraphModule(model, tracer.trace(model))


def test_same_seed_gives_the_same_bytes_and_leaves_the_global_state(model: AbstractAwakeModel) -> None:
    before = torch.random.get_rng_state()
    again = build_model(model.name, model.settings, seed=0)
    other = build_model(model.name, model.settings, seed=1)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert _state(again) == _state(model)
    assert _state(other) != _state(model)


def test_settings_survive_json(model: AbstractAwakeModel) -> None:
    settings = json.loads(json.dumps(model.settings))
    again = build_model(model.name, settings, seed=0)
    assert again.settings == model.settings
    assert str(again) == str(model)


def test_settings_are_complete(model: AbstractAwakeModel) -> None:
    assert set(build_model(model.name, {}, seed=0).settings) == set(model.settings)


def test_outputs_have_the_promised_shape(model: AbstractAwakeModel, image: Tensor) -> None:
    with torch.no_grad():
        result = model.eval()(image)
    if isinstance(model, AbstractPurifier):
        assert result.shape == image.shape
        assert 0 <= result.min() <= result.max() <= 1
    else:
        assert isinstance(model, AbstractClassifier)
        assert result.shape == (5, 10)


def test_evaluation_is_deterministic_and_knows_no_batch(model: AbstractAwakeModel, image: Tensor) -> None:
    model.eval()
    before = torch.random.get_rng_state()
    with torch.no_grad():
        whole = model(image)
        assert torch.equal(model(image), whole)
        one_by_one = torch.cat([model(single[None]) for single in image])
    # Other kernels may serve other batch sizes: rounding only.
    torch.testing.assert_close(one_by_one, whole, rtol=1e-4, atol=1e-5)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_forward_can_be_traced(model: AbstractAwakeModel, image: Tensor) -> None:
    model.eval()
    if isinstance(model, ABS):
        with pytest.raises(ConversionError, match="cannot be traced"):
            trace_stages(model, image)
        return
    with torch.no_grad():
        assert torch.equal(_trace(model, "forward")(image), model(image))


@pytest.mark.parametrize("name", [name for name in MODELS if issubclass(MODELS[name], AbstractVAE)])
def test_outputs_can_be_traced(name: str) -> None:
    model = build_model(name, {"size": 8, "latent": 4}, seed=0).eval()
    assert isinstance(model, AbstractPurifier)
    image = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = model.outputs(image)
        traced = _trace(model, "outputs")(image)
        assert torch.equal(expected["image"], model(image))
    assert list(traced) == ["image", "mean", "log_variance"]
    for key, value in expected.items():
        assert torch.equal(traced[key], value)


def test_loss_is_a_function_of_its_generator(model: AbstractAwakeModel, image: Tensor) -> None:
    model.eval()  # no dropout

    def loss(seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        return model.loss(image, image, torch.arange(5), generator=generator)

    assert loss(3).shape == ()
    assert torch.equal(loss(3), loss(3))
    draws_noise = isinstance(model, AbstractPurifier | DIM | ABS)
    assert torch.equal(loss(3), loss(4)) != draws_noise


def test_a_step_downhill_reduces_the_loss(model: AbstractAwakeModel, image: Tensor) -> None:
    model = copy.deepcopy(model).eval()
    rate = 1e-2 if isinstance(model, ABS) else 1e-5  # its loss is a mean over pixels, not a sum
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)

    def loss() -> Tensor:
        generator = torch.Generator().manual_seed(0)
        return model.loss(image, image, torch.arange(5), generator=generator)

    before = loss()
    before.backward()
    optimizer.step()
    assert loss() < before
    assert all(weight.grad is not None for weight in model.parameters())


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("vae", {}, "there is no model 'vae': expected one of defense-vae, fc-vae"),
        (
            "c4",
            {"width": 3},
            "model 'c4' has no setting 'width': expected hidden, channels, size, num_classes",
        ),
        ("c4", {"hidden": 0}, "setting 'hidden' of model 'c4' must be >= 1, got 0"),
        ("c4", {"hidden": 2.5}, "setting 'hidden' of model 'c4' must be a whole number, got 2.5"),
        ("c4", {"hidden": True}, "setting 'hidden' of model 'c4' must be a whole number, got True"),
        ("c3", {"last_dropout": "1"}, "setting 'last_dropout' of model 'c3' must be a number, got '1'"),
        ("c3", {"last_dropout": 1.0}, r"setting 'last_dropout' of model 'c3' must be in \[0, 1\)"),
        ("c1", {"size": 26}, "setting 'size' of model 'c1' must be >= 27, got 26"),
        ("vanilla-cnn", {"size": 8}, "setting 'size' of model 'vanilla-cnn' must be >= 12, got 8"),
        ("defense-vae", {"size": 3}, "setting 'size' of model 'defense-vae' must be >= 4, got 3"),
        ("fc-vae", {"kl_weight": -1}, "setting 'kl_weight' of model 'fc-vae' must be >= 0, got -1"),
        (
            "fc-vae",
            {"kl_weight": float("nan")},
            "setting 'kl_weight' of model 'fc-vae' must be >= 0, got nan",
        ),
    ],
)
def test_wrong_settings_are_named(name: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_model(name, settings, seed=0)


def test_the_package_loads_torch_on_first_use_only() -> None:
    code = "import sys, sleepdefense.models as m; assert 'torch' not in sys.modules; m.C4(hidden=2)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_unknown_names_are_attribute_errors() -> None:
    import sleepdefense.models

    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        sleepdefense.models.nothing  # noqa: B018
