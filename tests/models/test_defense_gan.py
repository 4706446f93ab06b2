"""Defense-GAN: its search, the gradient through it, its training."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sleepdefense.attacks import BPDA
from sleepdefense.data import ImageSet
from sleepdefense.data.pairs import undisturbed_pairs
from sleepdefense.errors import ConfigError
from sleepdefense.evaluation.surfaces import find_surfaces
from sleepdefense.models import C4, DefenseGAN, Purified, awake_checkpoint, build_model, model_from_checkpoint
from sleepdefense.models.defense_gan import with_search
from sleepdefense.models.latent_search import LatentSearch, search_latent
from sleepdefense.training import TrainConfig, train

SMALL: dict[str, Any] = {"width": 2, "latent": 4, "size": 8, "steps": 6, "restarts": 3, "rate": 1.0}


def gan(**changes: Any) -> DefenseGAN:
    built = build_model("defense-gan", {**SMALL, **changes}, seed=0)
    assert isinstance(built, DefenseGAN)
    return built.eval().requires_grad_(False)


def images(count: int = 5, *, size: int = 8, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.rand(count, 1, size, size, generator=torch.Generator().manual_seed(1), dtype=dtype)


def unrolled(model: DefenseGAN, image: Tensor) -> Tensor:
    """The search with its whole graph, start by start."""
    draw = torch.Generator().manual_seed(int(model.settings["start_seed"]))
    units = int(model.settings["latent"])
    starts = torch.randn(model.search.restarts, units, generator=draw).to(image) / units**0.5
    found, errors = [], []
    for start in starts:
        latent, speed = start.expand(len(image), -1).clone().requires_grad_(True), torch.zeros(())
        for _ in range(model.search.steps):
            error = (model.generate(latent) - image).square().flatten(1).mean(1).sum()
            (slope,) = torch.autograd.grad(error, latent, create_graph=True)
            speed = model.search.momentum * speed + slope
            latent = latent - model.search.learning_rate * speed
        found.append(latent)
        errors.append((model.generate(latent) - image).square().flatten(1).mean(1))
    return model.generate(torch.stack(found)[torch.stack(errors).argmin(0), torch.arange(len(image))])


def test_result_and_gradient_are_those_of_the_unrolled_search() -> None:
    model = gan().double()
    image = images(dtype=torch.float64).requires_grad_(True)
    weight = images(dtype=torch.float64) - 0.5
    result, wanted = model(image), unrolled(model, image)
    torch.testing.assert_close(result, wanted, rtol=1e-12, atol=1e-12)
    gradients = [torch.autograd.grad((found * weight).sum(), image)[0] for found in (result, wanted)]
    torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-12)
    assert float(gradients[0].abs().max()) > 1e-3


def test_a_linear_generator_is_inverted() -> None:
    """On |A z - x|^2 gradient descent finds the least-squares latent, and dz/dx is A's pseudo-inverse."""
    matrix = torch.tensor([[2.0, 0.0], [0.0, 1.0], [0.0, 0.0], [0.0, 0.0]], dtype=torch.float64)
    image = torch.tensor([[[[1.0, 0.5], [0.25, 0.0]]]], dtype=torch.float64, requires_grad=True)
    search = LatentSearch(steps=60, restarts=2, learning_rate=0.8, momentum=0.5)
    starts = torch.tensor([[3.0, -3.0], [0.0, 0.0]], dtype=torch.float64)
    latent = search_latent(lambda z: (z @ matrix.T).view(-1, 1, 2, 2), image, starts, search)
    torch.testing.assert_close(latent.detach(), torch.tensor([[0.5, 0.5]], dtype=torch.float64))
    (gradient,) = torch.autograd.grad(latent[0, 0], image)
    torch.testing.assert_close(gradient.flatten(), torch.tensor([0.5, 0, 0, 0], dtype=torch.float64))


def test_an_image_is_purified_alone_as_in_a_batch() -> None:
    model, image = gan(restarts=2), images(7)
    one_by_one = torch.cat([model(each[None]) for each in image])
    torch.testing.assert_close(model(image), one_by_one, rtol=1e-4, atol=1e-5)  # other kernels: rounding


def test_what_the_generator_made_is_found_again() -> None:
    model = gan(steps=100, restarts=4, rate=5.0)
    with torch.no_grad():
        made = model.generate(torch.randn(4, 4, generator=torch.Generator().manual_seed(3)))
    error = (model(made) - made).square().mean()
    assert float(error) < 0.05 * float((made - made.mean(0)).square().mean() + 1e-3)


def test_more_starts_never_fit_worse() -> None:
    image = images()

    def error(restarts: int) -> Tensor:
        return (gan(restarts=restarts, steps=10)(image) - image).square().flatten(1).mean(1)

    assert bool((error(5) <= error(1) + 1e-6).all())


def test_halvings_give_up_half_of_the_starts() -> None:
    assert LatentSearch(steps=7, restarts=5, halvings=2).parts == ((2, 5), (2, 3), (3, 2))
    image = images()
    exact, halved = gan(restarts=4)(image), gan(restarts=4, halvings=1)(image)
    assert exact.shape == halved.shape
    errors = [(found - image).square().flatten(1).mean(1) for found in (exact, halved)]
    assert bool((errors[0] <= errors[1] + 1e-6).all())


def test_it_survives_a_file_with_its_search() -> None:
    model = gan(halvings=1)
    again = model_from_checkpoint(awake_checkpoint(model, provenance={}))
    assert torch.equal(again(images()), model(images()))
    assert again.settings == model.settings


def test_only_the_search_changes() -> None:
    model = gan()
    longer = with_search(model, steps=9)
    assert longer.search.steps == 9
    assert longer.extra_repr() != model.extra_repr()
    assert torch.equal(longer.generate(torch.ones(2, 4)), model.generate(torch.ones(2, 4)))
    with pytest.raises(ConfigError, match="no setting 'width'"):
        with_search(model, width=3)


@pytest.mark.parametrize("size", [8, 27, 28, 64])
def test_images_of_every_size_come_out(size: int) -> None:
    model = build_model("defense-gan", {"width": 1, "latent": 2, "size": size, "channels": 3}, seed=0)
    assert isinstance(model, DefenseGAN)
    assert model.generate(torch.zeros(2, 2)).shape == (2, 3, size, size)
    assert model.critic(torch.zeros(2, 3, size, size)).shape == (2, 1)


def test_the_papers_network() -> None:
    shapes = [tuple(part.weight.shape) for part in DefenseGAN().generator if hasattr(part, "weight")]
    assert shapes == [(4096, 128), (256, 128, 5, 5), (128, 64, 5, 5), (64, 1, 5, 5)]


def test_loss_by_hand() -> None:
    """A critic D(x) = c * sum x has slope c in each of 64 pixels, so a length of 8 |c|."""
    model = gan(penalty=10.0)
    model.critic = nn.Sequential(nn.Flatten(), nn.Linear(64, 1, bias=False))
    nn.init.constant_(model.critic[1].weight, 0.25)
    clean, draw = images(3), torch.Generator().manual_seed(0)
    made = model.generate(torch.randn(3, 4, generator=torch.Generator().manual_seed(0)))
    expected = 0.25 * (made.sum() - clean.sum()) / 3 + 10 * (8 * 0.25 - 1) ** 2
    loss = model.loss(clean, clean, torch.zeros(3, dtype=torch.long), generator=draw)
    torch.testing.assert_close(loss, expected)


def test_critic_goes_down_and_generator_up() -> None:
    model = gan(critic_steps=1).requires_grad_(True)
    label, draw = torch.zeros(6, dtype=torch.long), torch.Generator()
    model.loss(images(6), images(6), label, generator=draw.manual_seed(0)).backward()
    assert all(weight.grad is None for weight in model.generator.parameters())
    model.train()
    model.turn.fill_(1)
    model.zero_grad()
    model.loss(images(6), images(6), label, generator=draw.manual_seed(0)).backward()
    assert int(model.turn) == 2
    latent = torch.randn(6, 4, generator=draw.manual_seed(0))
    score = -model.critic(model.generate(latent)).mean()  # what a generator minimises
    weights = list(model.generator.parameters())
    for weight, wanted in zip(weights, torch.autograd.grad(score, weights), strict=True):
        torch.testing.assert_close(weight.grad, wanted)


def two_halves(count: int) -> Tensor:
    """Images that are dark above and bright below."""
    image = torch.full((count, 1, 8, 8), 0.1)
    image[..., 4:, :] = 0.9
    return image


def test_the_game_teaches_the_generator_what_images_look_like() -> None:
    model = gan(critic_steps=1).requires_grad_(True).train()
    clean, label, draw = two_halves(16), torch.zeros(16, dtype=torch.long), torch.Generator().manual_seed(0)
    adam = torch.optim.Adam(model.parameters(), lr=2e-2, betas=DefenseGAN.adam_betas)
    latent = torch.randn(32, 4, generator=torch.Generator().manual_seed(5))

    def error() -> float:
        with torch.no_grad():
            return float((model.generate(latent) - clean[:1]).abs().mean())

    before = error()
    for _ in range(80):
        adam.zero_grad()
        model.loss(clean, clean, label, generator=draw).backward()
        adam.step()
    assert error() < 0.5 * before


def test_a_resumed_training_ends_in_the_same_weights(tmp_path: Path) -> None:
    data = ImageSet(
        name="halves", images=two_halves(8), labels=torch.zeros(8, dtype=torch.long), num_classes=1
    )
    start, pairs = gan(critic_steps=2).requires_grad_(True), undisturbed_pairs(data)

    def config(epochs: int) -> TrainConfig:
        return TrainConfig(epochs=epochs, batch_size=4, learning_rate=5e-3, device="cpu")

    whole = train(start, pairs, config(3)).model
    state = tmp_path / "gan.h5"
    train(start, pairs, config(1), checkpoint=state)
    again = train(start, pairs, config(3), checkpoint=state, resume=True).model
    for name, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
    assert int(whole.get_buffer("turn")) == 6


def test_an_attacker_may_look_through_it_or_leave_its_gradient_out() -> None:
    surfaces = find_surfaces(Purified(gan(), C4(hidden=4, size=8)))
    assert list(surfaces) == ["oblivious", "white-box", "adaptive"]
    assert isinstance(surfaces["adaptive"].purifier, BPDA)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "search.steps must be >= 1"),
        ({"momentum": 1.0}, r"search.momentum in \[0, 1\)"),
        ({"halvings": 6}, "search.halvings must be < the 6 steps"),
        ({"penalty": -1.0}, "'penalty' of model 'defense-gan' must be >= 0"),
        ({"size": 7}, "'size' of model 'defense-gan' must be >= 8"),
    ],
)
def test_settings_out_of_range_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        gan(**changes)


def test_a_gan_has_no_bound() -> None:
    with pytest.raises(ConfigError, match="no evidence bound"):
        gan().elbo({}, images())
