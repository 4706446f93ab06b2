import pytest
import torch
from torch import nn
from torch.autograd import grad as grad_by_name

from sleepdefense.evaluation.checks import run_checks
from sleepdefense.evaluation.checks.inner_optimisation import GradientCalls


def by_grad(loss, leaf):
    torch.autograd.grad(loss, leaf)


def by_name(loss, leaf):
    grad_by_name(loss, leaf)


def by_method(loss, leaf):
    loss.backward()


def by_function(loss, leaf):
    torch.autograd.backward(loss, inputs=[leaf])


class InFunction(torch.autograd.Function):
    """Takes a gradient where autograd cannot see it."""

    @staticmethod
    def forward(ctx, image):
        with torch.enable_grad():
            leaf = image.detach().requires_grad_(True)
            torch.autograd.grad(leaf.square().sum(), leaf)
        return image.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient


@pytest.mark.parametrize("take", [by_grad, by_name, by_method, by_function])
def test_every_way_to_take_a_gradient_is_counted(take):
    leaf = torch.ones(3, requires_grad=True)
    calls = GradientCalls()
    with calls:
        take(leaf.square().sum(), leaf)
    assert calls.count == 1
    take(leaf.square().sum(), leaf)
    assert calls.count == 1


class Wrapped(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, image):
        return self.model(InFunction.apply(image))


def test_a_gradient_inside_a_custom_function_is_seen(cnn, digits, config):
    (finding,) = run_checks({"a": Wrapped(cnn)}, digits, config=config, which=["G5"])
    assert finding.status == "failed"
    assert finding.value == 1.0


def test_watching_ends_when_the_model_raises():
    calls = GradientCalls()
    leaf = torch.ones(3, requires_grad=True)
    with pytest.raises(RuntimeError, match="stop"), calls:
        raise RuntimeError("stop")
    by_grad(leaf.square().sum(), leaf)
    assert calls.count == 0
