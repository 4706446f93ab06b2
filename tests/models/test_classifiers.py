import pytest
import torch
from torch import nn

from sleepdefense.models.classifiers import C1, C2, C3, C4
from sleepdefense.models.vanilla_cnn import VanillaCNN


def _shapes(model: nn.Module, size: int) -> list[tuple[int, ...]]:
    """Return the output shapes of the layers with weights."""
    image = torch.zeros(1, 1, size, size)
    shapes = []
    for layer in model.eval().layers:
        image = layer(image)
        if isinstance(layer, nn.Conv2d | nn.Linear):
            shapes.append(tuple(image.shape[1:]))
    return shapes


def test_published_shapes() -> None:
    assert _shapes(C1(), 28) == [(64, 14, 14), (128, 5, 5), (128, 1, 1), (10,)]
    assert _shapes(C2(), 28) == [(128, 28, 28), (64, 12, 12), (128,), (10,)]
    assert _shapes(C3(), 28) == [(200,), (200,), (10,)]
    assert _shapes(C4(), 28) == [(200,), (200,), (10,)]
    assert _shapes(VanillaCNN(), 28) == [(20, 24, 24), (70, 11, 11), (256, 5, 5), (10, 1, 1)]


def test_vanilla_cnn_has_the_published_number_of_parameters() -> None:
    assert sum(weight.numel() for weight in VanillaCNN().parameters()) == 249_228


def test_dropouts_are_those_of_the_table() -> None:
    def dropouts(model: nn.Module) -> list[float]:
        return [layer.p for layer in model.modules() if isinstance(layer, nn.Dropout)]

    assert dropouts(C1()) == [0.2, 0.5]
    assert dropouts(C1(input_dropout=0.8)) == [0.8, 0.5]
    assert dropouts(C2()) == [0.25, 0.5]
    assert dropouts(C3()) == [0.5, 0.25]
    assert dropouts(C3(last_dropout=0.0)) == [0.5, 0.0]
    assert dropouts(C4()) == []


@pytest.mark.parametrize("size", [27, 28, 29, 32, 33])
def test_c1_pads_as_tensorflow_does(size: int) -> None:
    """Half the pixels, rounded up; where the padding is odd, one more at the far end."""
    model = C1(width=2, size=size)
    half = -(-size // 2)
    assert _shapes(model, size)[0] == (2, half, half)
    total = 2 * (half - 1) + 8 - size
    image = torch.zeros(1, 1, size, size)
    image[..., 0, 0] = 1.0
    layer = [part for part in model.layers if isinstance(part, nn.Conv2d | nn.ZeroPad2d)]
    seen = (
        layer[0](image) if isinstance(layer[0], nn.ZeroPad2d) else nn.functional.pad(image, [total // 2] * 4)
    )
    row = seen[0, 0].sum(1).argmax().item()
    assert row == total // 2
    assert seen.shape[-1] - size - row == total - total // 2 if total % 2 else True


@pytest.mark.parametrize(
    "model", [C1(width=2), C2(width=2), C3(hidden=5), C4(hidden=5)], ids=lambda m: m.name
)
def test_each_unit_begins_with_norm_1_and_no_bias(model: nn.Module) -> None:
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            norm = layer.weight.flatten(1).norm(dim=1)
            torch.testing.assert_close(norm, torch.ones_like(norm))
            assert not layer.bias.any()


@pytest.mark.parametrize("model", [C1, C2, C3, C4, VanillaCNN], ids=lambda m: m.name)
def test_any_channels_sizes_and_classes(model: type[nn.Module]) -> None:
    image = torch.zeros(2, 3, 40, 40)
    assert model(channels=3, size=40, num_classes=4)(image).shape == (2, 4)
