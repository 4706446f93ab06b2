"""The errors of all internal models, beside what autograd makes of their definition."""

import torch

from sleepdefense.models.answer_errors import answer_errors
from sleepdefense.models.stacked import StackedLinear

LABEL = torch.tensor([0, 2, 2, 1, 0])


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.double, generator=torch.Generator().manual_seed(0))


def by_definition(drive: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    is_own = (torch.arange(3)[:, None] == LABEL)[..., None]
    return (target * is_own - drive.tanh()).square().sum(2).mean(1)


def test_errors_and_gradient_are_those_of_the_definition() -> None:
    target = drawn(5, 4)
    for drive in (drawn(3, 5, 4), drawn(5, 3, 4).transpose(0, 1)):  # as it lies in memory, and across
        one, other = (drive.clone().requires_grad_(True) for _ in range(2))
        errors, expected = answer_errors(one, target, LABEL), by_definition(other, target)
        torch.testing.assert_close(errors, expected)
        slopes = torch.tensor([1.0, 2.0, -3.0], dtype=torch.double)
        errors.backward(slopes)
        expected.backward(slopes)
        torch.testing.assert_close(one.grad, other.grad)
    assert torch.autograd.gradcheck(lambda value: answer_errors(value, target, LABEL), (one,))


def test_a_stacked_weight_lies_as_its_product_needs_it_and_so_does_its_gradient() -> None:
    stack = StackedLinear(3, 5, 4, shared_input=False)
    assert stack.weight.shape == (3, 4, 5)
    assert stack.weight.transpose(1, 2).is_contiguous()
    stack(torch.rand(3, 2, 5)).sum().backward()
    assert stack.weight.grad is not None
    assert stack.weight.grad.stride() == stack.weight.stride()
