import pytest
import torch
from torch import Tensor, nn

from sleepdefense.attacks.bpda import BPDA
from sleepdefense.errors import ConfigError

X = torch.tensor([[-1.5, 0.2, 0.7, 30.0]])


class Steps(nn.Module):
    """Round to whole numbers: no gradient anywhere."""

    def forward(self, x: Tensor) -> Tensor:
        return x.round()


class Scaled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(3.0))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * x.square()


def gradient(module: nn.Module) -> tuple[Tensor, Tensor]:
    leaf = X.clone().requires_grad_(True)
    value = module(leaf)
    (found,) = torch.autograd.grad(value.sum(), leaf)
    return value.detach(), found


def test_the_identity_stands_in() -> None:
    value, found = gradient(BPDA(Steps(), "identity"))
    assert torch.equal(value, X.round())
    assert torch.equal(found, torch.ones_like(X))


@pytest.mark.parametrize("proxy", [Scaled(), nn.Sigmoid(), nn.Softplus()], ids=["square", "sigmoid", "plus"])
def test_values_are_exactly_those_forwards_and_gradients_those_backwards(proxy: nn.Module) -> None:
    value, found = gradient(BPDA(Steps(), proxy))
    assert torch.equal(value, X.round())
    assert torch.equal(found, gradient(proxy)[1])


def test_the_chain_rule_goes_on_through_other_layers() -> None:
    leaf = X.clone().requires_grad_(True)
    value = BPDA(Steps(), Scaled())(2 * leaf).pow(2).sum()  # d/dx = 2 round(2x) * 3 * 2 (2x) * 2
    (found,) = torch.autograd.grad(value, leaf)
    torch.testing.assert_close(found, 2 * (2 * X).round() * 6 * (2 * X) * 2)


def test_without_a_gradient_the_stand_in_is_not_asked() -> None:
    class Broken(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise AssertionError("asked")

    module = BPDA(Steps(), Broken())
    assert torch.equal(module(X), X.round())
    with torch.no_grad():
        assert torch.equal(module(X.clone().requires_grad_(True)), X.round())


def test_both_modules_are_parts() -> None:
    names = {name for name, _ in BPDA(Scaled(), Scaled()).named_parameters()}
    assert names == {"forward_module.weight", "backward_module.weight"}


def test_other_shapes_and_texts_are_refused() -> None:
    class Sum(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.sum(1, keepdim=True)

    with pytest.raises(ConfigError, match=r"shape \(1, 4\) and the backward one \(1, 1\): expected equal"):
        gradient(BPDA(Steps(), Sum()))
