from math import e, log

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from sleepdefense.attacks.losses import LOSSES, DrawsLogits, attack_loss
from sleepdefense.errors import ConfigError

LABELS = torch.tensor([0, 3, 1])
LOGITS = torch.tensor([[3.0, 1.0, 2.0, 0.0], [0.0, 5.0, 1.0, 2.0], [1.0, 1.0, 0.0, -1.0]])


class Fixed(nn.Module):
    """Logits that are the pixels."""

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1)


class TwoDraws(Fixed):
    """One draw doubles the logits, the other turns them around."""

    def logit_draws(self, images: Tensor) -> Tensor:
        return torch.stack([2 * images.flatten(1), -images.flatten(1)])


def as_images(logits: Tensor) -> Tensor:
    return logits.reshape(len(logits), 1, 2, -1)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("ce", [log(e**3 + e + e**2 + 1) - 3, log(1 + e**5 + e + e**2) - 2, log(2 * e + 1 + 1 / e) - 1]),
        ("margin", [-1.0, 3.0, 0.0]),
        ("dlr", [-1.0 / 2.0, 3.0 / 4.0, 0.0]),  # spreads 3-1, 5-1, 1-0
    ],
)
def test_losses_are_those_computed_by_hand(kind: str, expected: list[float]) -> None:
    found = attack_loss(Fixed(), as_images(LOGITS), LABELS, kind)
    torch.testing.assert_close(found, torch.tensor(expected), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", list(LOSSES))
def test_draws_are_averaged_after_the_loss(kind: str) -> None:
    images = as_images(LOGITS)
    model = TwoDraws()
    by_draw = [LOSSES[kind](logits, LABELS) for logits in model.logit_draws(images)]
    torch.testing.assert_close(attack_loss(model, images, LABELS, kind), (by_draw[0] + by_draw[1]) / 2)
    of_mean = LOSSES[kind](model.logit_draws(images).mean(0), LABELS)
    assert not torch.allclose(of_mean, attack_loss(model, images, LABELS, kind))
    assert isinstance(model, DrawsLogits)
    assert not isinstance(Fixed(), DrawsLogits)


@pytest.mark.parametrize("kind", list(LOSSES))
def test_gradients_of_draws_are_averaged(kind: str) -> None:
    leaf = as_images(LOGITS).requires_grad_(True)
    (gradient,) = torch.autograd.grad(attack_loss(TwoDraws(), leaf, LABELS, kind).sum(), leaf)
    parts = []
    for sign in (2.0, -1.0):
        one = as_images(LOGITS).requires_grad_(True)
        (part,) = torch.autograd.grad(LOSSES[kind](sign * one.flatten(1), LABELS).sum(), one)
        parts.append(part)
    torch.testing.assert_close(gradient, (parts[0] + parts[1]) / 2)


@given(
    st.lists(st.lists(st.floats(-20, 20, width=32), min_size=5, max_size=5), min_size=1, max_size=4),
    st.integers(0, 4),
)
def test_margin_and_dlr_are_positive_exactly_where_the_label_is_beaten(
    rows: list[list[float]], label: int
) -> None:
    logits = torch.tensor(rows)
    labels = torch.full((len(rows),), label)
    others = torch.cat([logits[:, :label], logits[:, label + 1 :]], dim=1)
    is_beaten = others.amax(1) > logits[:, label]
    for kind in ("margin", "dlr"):
        assert torch.equal(LOSSES[kind](logits, labels) > 0, is_beaten)


def test_dlr_ignores_scale_and_offset() -> None:
    first = LOSSES["dlr"](LOGITS, LABELS)
    torch.testing.assert_close(LOSSES["dlr"](100 * LOGITS + 7, LABELS), first)


def test_an_unknown_loss_is_named() -> None:
    with pytest.raises(ConfigError, match=r"there is no loss 'hinge': expected one of ce, margin, dlr"):
        attack_loss(Fixed(), as_images(LOGITS), LABELS, "hinge")


def test_dlr_needs_four_classes() -> None:
    with pytest.raises(ConfigError, match=r"loss 'dlr' needs 4 classes or more, got 3"):
        attack_loss(Fixed(), LOGITS[:, :3].reshape(3, 1, 1, 3), LABELS % 3, "dlr")
    with pytest.raises(ConfigError, match=r"loss 'margin' needs 2 classes or more, got 1"):
        attack_loss(Fixed(), LOGITS[:, :1].reshape(3, 1, 1, 1), LABELS * 0, "margin")
