"""Ensembles: votes computed by hand."""

import pytest
import torch
from torch import Tensor, nn

from sleepdefense.errors import ConfigError
from sleepdefense.models import C4, Ensemble


class Says(nn.Module):
    """Gives the same probabilities for every image."""

    def __init__(self, *probabilities: float) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(probabilities).log() + 3.0)  # a shift changes no softmax

    def forward(self, image: Tensor) -> Tensor:
        return self.logits.expand(len(image), -1)


IMAGE = torch.zeros(2, 1, 4, 4)


def test_votes_by_hand() -> None:
    members = [Says(0.7, 0.2, 0.1), Says(0.1, 0.3, 0.6), Says(0.1, 0.5, 0.4)]
    mean, largest = Ensemble(members, "mean")(IMAGE), Ensemble(members, "max")(IMAGE)
    torch.testing.assert_close(mean.exp()[0], torch.tensor([0.9, 1.0, 1.1]) / 3)
    torch.testing.assert_close(largest.exp()[1], torch.tensor([0.7, 0.5, 0.6]))
    assert (mean.argmax(1)[0], largest.argmax(1)[0]) == (2, 0)


@pytest.mark.parametrize("vote", ["mean", "max"])
def test_one_member_decides_alone_and_has_a_gradient(vote: str) -> None:
    member = C4(hidden=8, size=4).eval()
    ensemble = Ensemble([member], "mean" if vote == "mean" else "max")
    image = torch.rand(5, 1, 4, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    torch.testing.assert_close(ensemble(image), torch.log_softmax(member(image), dim=1))
    (gradient,) = torch.autograd.grad(ensemble(image)[:, 3].sum(), image)
    assert float(gradient.abs().min()) > 0


def test_what_cannot_vote_is_named() -> None:
    with pytest.raises(ConfigError, match="needs a member"):
        Ensemble([])
