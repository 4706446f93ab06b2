"""Random models: what counts as wrong, and that every attack with gradients sees through the randomness."""

import pytest
import torch
from quadrants import make_images
from small_attacks import FAST, Sums, title
from small_attacks import attack as attack_some
from torch import nn

from sleepdefense.attacks.attack_spec import AttackSpec
from sleepdefense.attacks.catalogue import find_attack
from sleepdefense.attacks.draws import HALF, NEARLY_ALL, deciding_logits, is_fooled
from sleepdefense.attacks.eot import EOT

DATA = make_images(12)
# the papers' CW takes steps so large that it leaves every boundary far behind, with one draw as with many
SEARCHES = [spec for spec in FAST if spec.needs_gradient and spec.minimises and spec.title != "CW"]


class Shaky(nn.Module):
    """Adds to the sums what random directions make of an image: most of any one gradient is noise."""

    def __init__(self) -> None:
        super().__init__()
        self.generator = torch.Generator().manual_seed(5)

    def one_draw(self, images, *, seed):
        return self._logits(images, torch.Generator().manual_seed(seed))

    def forward(self, images):
        return self._logits(images, self.generator)

    def _logits(self, images, generator):
        directions = torch.randn(64, 4, generator=generator)
        return Sums()(images) + 0.6 * (images.flatten(1) - 0.5) @ directions


def accuracy(model: nn.Module, images) -> float:
    """How often the model is right, over fresh draws."""
    answers = [model(images).argmax(1) == DATA.labels for _ in range(50)]
    return float(torch.stack(answers).double().mean())


@pytest.mark.parametrize("spec", SEARCHES, ids=title)
def test_searches_on_a_random_model_need_several_draws(spec: AttackSpec) -> None:
    # a search that sees one draw a step keeps images that were wrong by luck, and those are right again
    model = Shaky()
    alone = attack_some(spec, model, DATA).images
    together = attack_some(spec, EOT(model, draws=16), DATA).images
    left = {"one": accuracy(model, alone), "many": accuracy(model, together)}
    assert left["one"] > 0.4
    assert left["many"] < left["one"] - 0.2
    assert left["many"] < 0.5


def test_ddn_fails_on_one_draw_and_succeeds_on_many() -> None:
    spec = find_attack("DDN").with_settings(steps=40)
    model = Shaky()
    assert accuracy(model, DATA.images) > 0.95
    assert accuracy(model, attack_some(spec, model, DATA).images) > 0.6
    assert accuracy(model, attack_some(spec, EOT(model, draws=16), DATA).images) < 0.3


class SometimesSaturated(nn.Module):
    """Every second draw has logits so large that the cross-entropy of their mean is flat."""

    def one_draw(self, images, *, seed):
        return Sums()(images) * (1e6 if seed % 2 else 1.0)


class MeanOf(nn.Module):
    """What EOT would be if the loss were taken of the mean logits."""

    def __init__(self, eot: EOT) -> None:
        super().__init__()
        self.eot = eot

    def forward(self, images):
        return self.eot(images)


def test_ddn_follows_the_mean_of_the_losses_and_not_the_loss_of_the_mean() -> None:
    spec = find_attack("DDN").with_settings(steps=20)
    eot = EOT(SometimesSaturated(), draws=8)
    of_mean = attack_some(spec, MeanOf(eot), DATA)
    assert int(of_mean.without_gradient.sum()) == 12
    of_losses = attack_some(spec, eot, DATA)
    assert not of_losses.without_gradient.any()
    assert bool((Sums()(of_losses.images).argmax(1) != DATA.labels).all())


def test_a_share_of_the_draws_decides() -> None:
    # of four draws one, two, three and four are wrong
    wrong = torch.tensor([[1, 1, 1, 1], [0, 1, 1, 1], [0, 0, 1, 1], [0, 0, 0, 1]])
    draws = torch.stack([1.0 - wrong, 2.0 * wrong], dim=2)
    labels = torch.zeros(4, dtype=torch.int64)
    assert is_fooled(draws, labels, HALF).tolist() == [False, True, True, True]
    assert is_fooled(draws, labels, NEARLY_ALL).tolist() == [False, False, False, True]
    for share in (0.1, HALF, 0.75, NEARLY_ALL, 1.0):
        decided = deciding_logits(draws, labels, share).argmax(1) != labels
        assert torch.equal(decided, is_fooled(draws, labels, share))


def test_deciding_logits_have_the_gradient_of_the_mean() -> None:
    images = DATA.images.clone().requires_grad_(True)
    draws = EOT(Shaky(), draws=4).logit_draws(images)
    directions = torch.randn(12, 4, generator=torch.Generator().manual_seed(1))
    found, wanted = (
        torch.autograd.grad((logits * directions).sum(), images, retain_graph=True)[0]
        for logits in (deciding_logits(draws, DATA.labels, NEARLY_ALL), draws.mean(0))
    )
    torch.testing.assert_close(found, wanted)


def test_where_nearly_all_draws_cannot_be_fooled_half_of_them_are() -> None:
    class TwoMinds(nn.Module):
        """Most draws are sums; about one in three never changes its mind."""

        def one_draw(self, images, *, seed):
            stubborn = nn.functional.one_hot(DATA.labels, 4) + 0.0 * images.flatten(1).sum(1, keepdim=True)
            return stubborn if seed % 3 == 0 else Sums()(images)

    spec = find_attack("DDN").with_settings(steps=20)
    eot = EOT(TwoMinds(), draws=16, seed=0)
    share = float(
        torch.stack([d.argmax(1) != DATA.labels for d in eot.logit_draws(1 - DATA.images)]).double().mean()
    )
    assert HALF < share < NEARLY_ALL
    attacked = attack_some(spec, eot, DATA).images
    assert bool(is_fooled(eot.logit_draws(attacked), DATA.labels, HALF).all())


def test_random_models_give_the_same_images_in_any_batch() -> None:
    spec = find_attack("DDN").with_settings(steps=20)
    eot = EOT(Shaky(), draws=4)
    whole = attack_some(spec, eot, DATA).images
    parts = [attack_some(spec, eot, DATA, first=first, last=first + 6).images for first in (0, 6)]
    torch.testing.assert_close(torch.cat(parts), whole, rtol=0, atol=1e-4)
