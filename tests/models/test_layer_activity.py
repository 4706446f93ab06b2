import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sleepdefense.errors import EvaluationError
from sleepdefense.models import ReLUMLP, SaturatingCNN, SigmoidMLP
from sleepdefense.models.layer_activity import layer_activity, logits_and_layers


def _images(batch: int = 3, size: int = 8) -> Tensor:
    return torch.rand(batch, 1, size, size, generator=torch.Generator().manual_seed(0))


def test_drives_and_activities_are_those_of_the_equations() -> None:
    model, images = SigmoidMLP(hidden=5, size=8), _images()
    first, second, last = layer_activity(model, images)
    weights = dict(model.named_parameters())
    drive = images.flatten(1) @ weights["layers.1.weight"].T + weights["layers.1.bias"]
    torch.testing.assert_close(first.drive, drive)
    torch.testing.assert_close(first.activity, drive.sigmoid())
    drive = first.activity @ weights["layers.3.weight"].T + weights["layers.3.bias"]
    torch.testing.assert_close(second.drive, drive)
    torch.testing.assert_close(last.drive, model(images))
    assert [layer.unit for layer in (first, second, last)] == ["sigmoid", "sigmoid", "identity"]
    assert [layer.name for layer in (first, second, last)] == ["layers.1", "layers.3", "layers.5"]


def test_pooling_is_no_unit() -> None:
    layers = layer_activity(SaturatingCNN(width=2, size=8), _images())
    assert [layer.unit for layer in layers] == ["relu", "relu", "relu", "identity"]
    assert [tuple(layer.drive.shape[1:]) for layer in layers] == [(2, 8, 8), (4, 4, 4), (64,), (10,)]


class _Odd(nn.Module):
    """Functions in place of modules, a batch norm, one map used twice, and a unit that works in place."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, padding=1)
        self.norm = nn.BatchNorm2d(2)
        self.twice = nn.Linear(128, 128)
        self.read = nn.Linear(128, 3)

    def forward(self, image: Tensor) -> Tensor:
        hidden = F.elu(self.norm(self.conv(image)), inplace=True).flatten(1)
        hidden = torch.tanh(self.twice(hidden))
        hidden = torch.relu_(self.twice(hidden))
        logits: Tensor = self.read(hidden)
        return logits


def test_functions_norms_reuse_and_work_in_place_are_seen() -> None:
    model, images = _Odd().eval(), _images()
    with torch.no_grad():
        logits, layers = logits_and_layers(model, images)
    torch.testing.assert_close(logits, model(images))
    assert [layer.name for layer in layers] == ["conv", "twice", "twice#2", "read"]
    assert [layer.unit for layer in layers] == ["elu", "tanh", "relu", "identity"]
    torch.testing.assert_close(layers[0].drive, model.norm(model.conv(images)))  # not what elu made of it
    torch.testing.assert_close(layers[0].activity, F.elu(layers[0].drive))
    assert float(layers[2].drive.min()) < 0 <= float(layers[2].activity.min())


def test_gradients_flow_through_drives() -> None:
    model = ReLUMLP(hidden=5, size=8)
    sum(layer.drive.sum() for layer in layer_activity(model, _images())).backward()  # type: ignore[union-attr]
    assert all(weight.grad is not None for weight in model.parameters())


def test_a_network_without_maps_is_named() -> None:
    with pytest.raises(EvaluationError, match="a Flatten calls no linear map and no convolution"):
        layer_activity(nn.Flatten(), _images())
