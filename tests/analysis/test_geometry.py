import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sleepdefense.analysis import (
    confident_images,
    fisher_metric,
    input_jacobian,
    length_element,
    path_geometry,
    pulled_back_metric,
)
from sleepdefense.analysis.geometry import in_float64
from sleepdefense.errors import EvaluationError
from sleepdefense.models import SaturatingCNN, SigmoidMLP


def _model(classes: int = 4) -> nn.Module:
    model = SigmoidMLP(hidden=9, size=4, num_classes=classes)
    with torch.no_grad():
        for weight in model.parameters():
            weight *= 3
    return in_float64(model)


def _images(batch: int, size: int = 4) -> Tensor:
    return torch.rand(batch, 1, size, size, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def test_fisher_metric_is_the_expected_square_of_the_score() -> None:
    logits = torch.randn(5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    probability = logits.softmax(1)
    expected = torch.zeros(5, 4, 4, dtype=torch.float64)
    for image in range(5):
        score = torch.autograd.functional.jacobian(lambda h: h.log_softmax(0), logits[image])
        for k in range(4):
            expected[image] += probability[image, k] * torch.outer(score[k], score[k])
    torch.testing.assert_close(fisher_metric(logits), expected)


def test_fisher_metric_is_the_curvature_of_the_divergence() -> None:
    logits, step = torch.tensor([[0.3, -1.0, 0.8]], dtype=torch.float64), 1e-3

    def divergence(shift: Tensor) -> float:
        after = (logits + shift).log_softmax(1)
        return float((logits.softmax(1) * (logits.log_softmax(1) - after)).sum())

    metric = fisher_metric(logits)[0]
    for direction in torch.eye(3, dtype=torch.float64):
        curvature = (divergence(step * direction) + divergence(-step * direction)) / step**2
        assert curvature == pytest.approx(float(direction @ metric @ direction), rel=1e-5)


@pytest.mark.parametrize("kind", ["mlp", "cnn"])
def test_jacobian_agrees_with_finite_differences(kind: str) -> None:
    model = _model() if kind == "mlp" else in_float64(SaturatingCNN(width=2, size=4, num_classes=4))
    images, step = _images(2), 1e-6
    found = input_jacobian(model, images)
    assert found.shape == (2, 4, 16)
    with torch.no_grad():
        for pixel in range(16):
            shift = torch.zeros(16, dtype=torch.float64)
            shift[pixel] = step
            shift = shift.reshape(1, 1, 4, 4)
            difference = (model(images + shift) - model(images - shift)) / (2 * step)
            torch.testing.assert_close(found[:, :, pixel], difference, rtol=1e-6, atol=1e-7)
    assert all(weight.grad is None and weight.requires_grad for weight in model.parameters())


def test_length_is_that_of_the_pulled_back_metric() -> None:
    model, images = _model(), _images(3)
    direction = _images(6)[3:] - images
    jacobian, logits = input_jacobian(model, images), model(images).detach()
    metric = pulled_back_metric(jacobian, logits)
    flat = direction.flatten(1)
    expected = torch.einsum("bi,bij,bj->b", flat, metric, flat).sqrt()
    torch.testing.assert_close(length_element(jacobian, logits, direction), expected)


def test_length_is_the_distance_on_the_sphere_of_root_probabilities() -> None:
    # the Fisher metric is that of a sphere of radius 2 under p -> 2 sqrt(p): an independent formula
    model, start, end = _model(), _images(1), _images(2)[1:]
    step, position = 1e-4, 0.37
    way = path_geometry(model, start, end, points=101)
    with torch.no_grad():
        near, far = ((1 - s) * start + s * end for s in (position - step, position + step))
        angle = torch.arccos((model(near).softmax(1) * model(far).softmax(1)).sqrt().sum())
    assert float(way.length[37]) == pytest.approx(float(2 * angle / (2 * step)), rel=1e-4)


def test_the_whole_way_is_no_shorter_than_the_geodesic() -> None:
    model, start, end = _model(), _images(1), _images(2)[1:]
    way = path_geometry(model, start, end, points=201)
    geodesic = 2 * math.acos(float((way.probability[0] * way.probability[-1]).sqrt().sum()))
    assert way.total_length >= geodesic - 1e-4
    torch.testing.assert_close(way.probability[0], model(start)[0].softmax(0))
    torch.testing.assert_close(way.probability[-1], model(end)[0].softmax(0))
    assert 0 <= way.flat_share < 1


def test_singular_values_are_those_of_numpy() -> None:
    model, start, end = _model(), _images(1), _images(2)[1:]
    way = path_geometry(model, start, end, points=3, batch=2)
    jacobian = input_jacobian(model, 0.5 * start + 0.5 * end)[0].numpy()
    np.testing.assert_allclose(way.singular_values[1], np.linalg.svd(jacobian, compute_uv=False), rtol=1e-9)
    squares = way.singular_values[int(way.length.argmax())].numpy() ** 2
    assert way.sensitive_directions == pytest.approx(squares.sum() ** 2 / (squares**2).sum())


def test_certain_outputs_have_a_length_and_no_root_of_a_negative_number() -> None:
    logits = torch.tensor([[200.0, 0.0, -300.0]], dtype=torch.float64)
    jacobian = torch.randn(1, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    direction = torch.ones(1, 1, 2, 2, dtype=torch.float64)
    length = length_element(jacobian, logits, direction)
    change = jacobian.sum(2)[0]
    expected = abs(float(change[1] - change[0])) * math.exp(-100)  # p of the second class is exp(-200)
    assert float(length) == pytest.approx(expected, rel=1e-9)


def test_most_and_least_confident_images_are_right_ones() -> None:
    logits = torch.tensor([[900.0, 0.0], [30.0, 0.0], [0.0, 1.0], [-1.0, 3.0]])

    class Table(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            return logits[image.flatten(1)[:, 0].long()]

    images = torch.arange(4.0).reshape(4, 1, 1, 1)
    labels = torch.tensor([0, 0, 0, 1])
    # both first images have probability 1 in float32; the third is wrong
    assert confident_images(Table(), images, labels).tolist() == [0, 3]
    assert confident_images(Table(), images, labels, most=False).tolist() == [1, 3]
    assert confident_images(Table(), images, torch.zeros(4, dtype=torch.int64)).tolist() == [0, -1]


def test_different_shapes_are_refused() -> None:
    with pytest.raises(EvaluationError, match="expected two images of one shape"):
        path_geometry(_model(), _images(2), _images(2))
