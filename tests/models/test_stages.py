from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sleepdefense.errors import ConversionError
from sleepdefense.models.stages import trace_stages


class Function(nn.Module):
    """A network whose forward is a given function of a linear layer's output."""

    def __init__(self, function: Callable[[Tensor], Tensor], *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return self.function(x)


IMAGE = torch.zeros(1, 2, 8, 8)


@pytest.mark.parametrize(
    ("function", "op"),
    [
        (F.relu, "relu"),
        (torch.relu, "relu"),
        (lambda x: x.relu(), "relu"),
        (lambda x: x.relu_(), "relu"),
        (torch.sigmoid, "sigmoid"),
        (lambda x: x.tanh(), "tanh"),
        (lambda x: F.max_pool2d(x, 2), "max_pool"),
        (lambda x: F.max_pool2d(x, kernel_size=2, stride=1), "max_pool"),
        (lambda x: F.avg_pool2d(x, 2), "average"),
        (lambda x: F.adaptive_avg_pool2d(x, 1), "average"),
        (lambda x: F.interpolate(x, scale_factor=2), "upsample"),
        (lambda x: F.pad(x, (1, 0, 1, 0)), "pad"),
        (lambda x: x.view(x.size(0), -1), "reshape"),
        (lambda x: x.view(x.shape[0], x.shape[1] * x.shape[2], -1), "reshape"),
        (lambda x: torch.flatten(x, 1), "reshape"),
        (lambda x: x.reshape(-1, 3 * 64), "reshape"),
        (lambda x: x + x, "add"),
    ],
    ids=lambda value: None,
)
def test_functions_and_methods_are_found(function: Callable[[Tensor], Tensor], op: str) -> None:
    graph = trace_stages(Function(function, nn.Conv2d(2, 3, 3, padding=1)), IMAGE)
    last = graph.nodes[-1]
    assert last.op == op
    assert graph.outputs == {"output": last.name}
    if last.apply is not None:
        value = torch.rand(2, 3, 8, 8)
        assert torch.equal(last.apply(value), function(value))


def test_a_batch_norm_belongs_to_the_map_before_it() -> None:
    graph = trace_stages(nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU()), IMAGE)
    assert [(node.name, node.op, node.norm) for node in graph.nodes[1:]] == [
        ("0", "conv2d", "1"),
        ("2", "relu", None),
    ]


def test_a_batch_norm_on_its_own_is_a_map() -> None:
    graph = trace_stages(nn.Sequential(nn.BatchNorm2d(2), nn.ReLU(), nn.Conv2d(2, 3, 3)), IMAGE)
    assert [node.op for node in graph.nodes] == ["input", "affine", "relu", "conv2d"]


def test_dropout_is_removed_and_reported() -> None:
    graph = trace_stages(nn.Sequential(nn.Dropout(0.5), nn.Conv2d(2, 3, 3)), IMAGE)
    assert [node.op for node in graph.nodes] == ["input", "conv2d"]
    assert graph.removed == (("0", "Dropout does nothing in a network at rest"),)


def test_one_relu_module_may_serve_several_places() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.relu = nn.Conv2d(2, 2, 1), nn.Conv2d(2, 2, 1), nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            return self.relu(self.second(self.relu(self.first(x))))

    assert [node.name for node in trace_stages(Twice(), IMAGE).nodes] == [
        "x",
        "first",
        "relu",
        "second",
        "relu:relu_1",
    ]


class Shared(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.relu(self.conv(x)))


class Branching(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


class Loose(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.shift


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            nn.Sequential(nn.Conv2d(2, 3, 3), nn.GELU()),
            "layer '1' is a GELU, which has no spiking counterpart",
        ),
        (nn.Sequential(nn.Softmax(dim=1)), "layer '0' is a Softmax"),
        (
            nn.Sequential(nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular")),
            "layer '0' pads with 'circular'",
        ),
        (Function(lambda x: F.gelu(x), nn.Conv2d(2, 3, 3)), "operation 'gelu'"),
        (Function(lambda x: x * 2, nn.Conv2d(2, 3, 3)), "operation 'mul'"),
        (Function(lambda x: x + 1, nn.Conv2d(2, 3, 3)), "operation 'add' adds a constant"),
        (Function(lambda x: F.pad(x, (1, 1), value=1.0), nn.Conv2d(2, 3, 3)), "operation '_?pad'"),
        (Function(lambda x: x.flatten(), nn.Conv2d(2, 3, 3)), "changes the batch axis: 2 images became 216"),
        (
            nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3, track_running_stats=False)),
            "layer '1' keeps no",
        ),
        (Shared(), "layer 'conv' is used twice"),
        (Branching(), "the network 'Branching' cannot be traced"),
        (Loose(), "uses the tensor 'shift' directly"),
    ],
    ids=lambda value: None,
)
def test_what_cannot_convert_is_named(model: nn.Module, message: str) -> None:
    with pytest.raises(ConversionError, match=message):
        trace_stages(model, IMAGE)
