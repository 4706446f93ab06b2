import copy

import pytest
import torch
from quadrants import Quadrants, make_images
from torch import Tensor, nn

from sleepdefense.attacks.any_of import AnyOf
from sleepdefense.attacks.build import perturb
from sleepdefense.attacks.parse import parse_attack
from sleepdefense.errors import ConfigError
from sleepdefense.evaluation.substitutes import SubstituteConfig, train_substitute, with_substitutes
from sleepdefense.evaluation.systems import make_system
from sleepdefense.models import C4, Binarised, Purified

QUICK = SubstituteConfig(rounds=3, epochs=8, batch_size=16, learning_rate=0.01)
START = make_images(24, seed=1).images
TEST = make_images(40, seed=2)


class Target(nn.Module):
    """`Quadrants` without a gradient, which counts what it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.network = Quadrants().eval()
        self.asked: list[Tensor] = []

    def forward(self, images: Tensor) -> Tensor:
        self.asked.append(images.clone())
        return self.network(images).detach()


def substitute(seed: int = 0) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = C4(hidden=24, size=8, num_classes=4)
        return nn.Sequential(network, nn.Dropout(0.1))


def test_a_substitute_agrees_with_its_target_and_attacks_transfer() -> None:
    target = Target()
    trained = train_substitute(target, START, substitute(), QUICK)
    with torch.no_grad():
        said = target(TEST.images).argmax(1)
        agreement = float((trained(TEST.images).argmax(1) == said).float().mean())
        before = float((substitute().eval()(TEST.images).argmax(1) == said).float().mean())
    assert before < 0.5  # it knew nothing
    assert agreement > 0.85
    attacked = perturb(
        parse_attack("FGSM:0.3"), trained, TEST.images, TEST.labels, index=torch.arange(40), seed=0
    )
    right = float((target(attacked).argmax(1) == TEST.labels).float().mean())
    noise = 0.3 * torch.randn(TEST.images.shape, generator=torch.Generator().manual_seed(0)).sign()
    right_noisy = float((target((TEST.images + noise).clamp(0, 1)).argmax(1) == TEST.labels).float().mean())
    assert right < 0.4 < right_noisy


def test_the_target_labels_each_image_once_and_the_images_double() -> None:
    target = Target()
    seen: list[tuple[int, int, str]] = []
    train_substitute(target, START, substitute(), QUICK, progress=lambda *told: seen.append(told))
    assert [len(images) for images in target.asked] == [24, 24, 48]
    everything = torch.cat(target.asked)
    assert torch.equal(everything[:24], START)
    assert bool(((everything >= 0) & (everything <= 1)).all())
    # each new image lies one step, 0.1, from the one it was made from, unless it was clipped
    moved = (everything[24:48] - START).abs()
    assert float(moved.max()) == pytest.approx(0.1, abs=1e-6)
    assert float((moved > 0.0999).float().mean()) > 0.9
    assert [done for done, _, _ in seen] == list(range(1, 25))
    assert seen[-1] == (24, 24, "substitute, 96 images")


def test_the_step_goes_up_the_score_of_the_target_s_label() -> None:
    class Fixed(nn.Module):
        """Four scores: minus and plus the left and the right pixel; its weights do nothing."""

        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(()))

        def forward(self, images: Tensor) -> Tensor:
            left, right = images[:, 0, 0, 0], images[:, 0, 0, 1]
            return torch.stack([-left, left - right, right, 2 * left], 1) + self.weight

    asked: list[Tensor] = []

    def says_one(images: Tensor) -> Tensor:
        asked.append(images.clone())
        return torch.tensor([0.0, 1.0, 0.0, 0.0]).expand(len(images), 4)

    start = torch.tensor([0.5, 0.5]).reshape(1, 1, 1, 2)
    train_substitute(says_one, start, Fixed(), SubstituteConfig(rounds=2, epochs=1, step=0.1))
    # d (left - right) = (+1, -1)
    torch.testing.assert_close(asked[1].flatten(), torch.tensor([0.6, 0.4]))


def test_a_seed_decides_and_nothing_else_changes() -> None:
    given, target = substitute(), Target()
    before = copy.deepcopy(given.state_dict())
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    first = train_substitute(target, START, given, QUICK)
    assert torch.equal(torch.rand(2), expected)
    torch.manual_seed(4)
    second = train_substitute(target, START, given, QUICK)
    third = train_substitute(Target(), START, given, SubstituteConfig(rounds=3, epochs=8, seed=1))
    state = first.state_dict()
    assert all(torch.equal(value, second.state_dict()[name]) for name, value in state.items())
    assert not all(torch.equal(value, third.state_dict()[name]) for name, value in state.items())
    assert all(torch.equal(value, given.state_dict()[name]) for name, value in before.items())
    assert not first.training


def test_a_system_gains_a_threat_model() -> None:
    twin = Quadrants().eval()
    for inner, names in (
        (Quadrants(), ["white-box"]),
        (Purified(nn.Identity(), Quadrants()), ["oblivious", "white-box"]),
        (Binarised(Quadrants()), ["white-box", "adaptive", "black-box-query"]),
    ):
        model = with_substitutes(inner, {"twin": twin}).eval()
        assert torch.equal(model(TEST.images), inner(TEST.images))
        surfaces = make_system("it", model).surfaces
        assert list(surfaces) == [*names, "black-box-substitute"]
        assert surfaces["black-box-substitute"] is twin


def test_of_several_substitutes_any_may_succeed() -> None:
    system = Quadrants().eval()
    surface = with_substitutes(system, {"b": Quadrants(), "e": Quadrants()}).attack_surfaces()[
        "black-box-substitute"
    ]
    assert isinstance(surface, AnyOf)
    assert surface.names == ("b", "e")
    assert surface.judge is system


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rounds": 0}, "substitute.rounds must be >= 1, got 0"),
        ({"epochs": 0}, "substitute.epochs must be >= 1, got 0"),
        ({"batch_size": 0}, "substitute.batch_size must be >= 1, got 0"),
        ({"step": 0.0}, "substitute.step must be > 0, got 0.0"),
        ({"learning_rate": float("nan")}, "substitute.learning_rate must be > 0, got nan"),
    ],
)
def test_wrong_settings_are_named(settings: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SubstituteConfig(**settings)


def test_nothing_comes_from_nothing() -> None:
    with pytest.raises(ConfigError, match="a substitute needs images to begin with"):
        train_substitute(Target(), START[:0], substitute())
    with pytest.raises(ConfigError, match="needs a network to transfer attacks from"):
        with_substitutes(Quadrants(), {})
