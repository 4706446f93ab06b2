"""The slope of Defense-GAN's search without autograd: against autograd, in every batch, in a whole search."""

from typing import Any

import numba
import pytest
import torch
from torch import Tensor

from sleepdefense.models import DefenseGAN, build_model
from sleepdefense.models import latent_search as searching
from sleepdefense.models.latent_search import search_latent
from sleepdefense.models.quick_slope import QuickSlope

pytestmark = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="the compiler is switched off")


def gan(**changes: Any) -> DefenseGAN:
    settings = {"width": 4, "latent": 6, "size": 12, "steps": 50, "restarts": 4, "rate": 2.0, **changes}
    built = build_model("defense-gan", settings, seed=0)
    assert isinstance(built, DefenseGAN)
    for weight in built.generator.parameters():
        if weight.ndim == 1:  # a training moves the biases too
            torch.nn.init.normal_(weight, 0.0, 0.1, generator=torch.Generator().manual_seed(2))
    return built.eval().requires_grad_(False)


def problem(model: DefenseGAN, rows: int) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(1)
    size, channels = int(model.settings["size"]), int(model.settings["channels"])
    latent = torch.randn(rows, int(model.settings["latent"]), generator=draw)
    return latent, torch.rand(rows, channels, size, size, generator=draw)


@pytest.mark.parametrize(
    ("settings", "rows"),
    [
        ({}, 20),
        ({}, 3),
        ({"size": 28, "width": 2}, 33),
        ({"size": 27, "channels": 3, "width": 3}, 22),
        ({"size": 8}, 16),
        ({"size": 40, "width": 1}, 64),
    ],
)
def test_it_is_the_slope(settings: dict[str, Any], rows: int) -> None:
    model = gan(**settings)
    latent, target = problem(model, rows)
    found = QuickSlope(model.generator)(latent, target)
    wanted = searching._slope(model.double().generate, latent.double(), target.double())
    torch.testing.assert_close(found.double(), wanted, rtol=1e-4, atol=2e-5 * float(wanted.abs().max()))


def test_threads_change_no_bit() -> None:
    model, before = gan(), torch.get_num_threads()
    latent, target = problem(model, 40)
    found = QuickSlope(model.generator)(latent, target)
    try:
        torch.set_num_threads(2)
        torch.testing.assert_close(QuickSlope(model.generator)(latent, target), found, rtol=0, atol=0)
    finally:
        torch.set_num_threads(before)


def test_a_row_has_the_same_slope_in_every_batch() -> None:
    model = gan()
    latent, target = problem(model, 40)
    slope = QuickSlope(model.generator)
    whole = slope(latent, target)
    for rows in (1, 7, 16, 23):
        torch.testing.assert_close(slope(latent[:rows], target[:rows]), whole[:rows], rtol=1e-5, atol=1e-7)
    assert torch.equal(slope(latent, target), whole)  # memory is used again, and nothing is left in it


def test_a_search_takes_it_and_finds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    model, used = gan(halvings=1), []

    def counted(self: QuickSlope, latent: Tensor, target: Tensor, call: Any = QuickSlope.__call__) -> Tensor:
        used.append(len(latent))
        return call(self, latent, target)

    monkeypatch.setattr(QuickSlope, "__call__", counted)
    image = problem(model, 30)[1].requires_grad_(True)
    found = model(image)
    assert set(used) >= {100, 50}  # 25 images, 4 starts and then 2
    (gradient,) = torch.autograd.grad(found.sum(), image)
    monkeypatch.setattr(
        "sleepdefense.models.defense_gan.search_latent",
        lambda *arguments, slope: search_latent(*arguments),
    )
    plain = model(image)
    torch.testing.assert_close(found, plain, rtol=1e-3, atol=1e-4)
    (wanted,) = torch.autograd.grad(plain.sum(), image)
    torch.testing.assert_close(gradient, wanted, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize(("changes", "is_double"), [({"steps": 10}, False), ({}, True)])
def test_short_searches_and_other_numbers_go_without(changes: dict[str, Any], is_double: bool) -> None:
    model = gan(**changes).to(torch.float64 if is_double else torch.float32)
    image = problem(model, 1)[1].to(model.generator[0].weight.dtype)
    assert model._slope(image) is None
    assert gan()._slope(image.float()) is not None
