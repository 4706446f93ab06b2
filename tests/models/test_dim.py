import copy

import pytest
import torch

from sleepdefense.data import ImageSet
from sleepdefense.errors import ConfigError
from sleepdefense.evaluation.surfaces import ADAPTIVE, QUERY, find_surfaces
from sleepdefense.models import DIM, IM, BiDIM, DIMConfig, DnSingleIM, SingleIM, build_model
from sleepdefense.models.dim_proxies import Unnormalised
from sleepdefense.models.stacked import MapOfStack, StackedLinear
from sleepdefense.training import TrainConfig, train_classifier

SMALL = {"denoiser_width": 16, "width": 12, "bottleneck": 5, "latent": 3, "size": 6, "num_classes": 3}
FAMILY = (DIM, BiDIM, IM, SingleIM, DnSingleIM)


def small(name: str = "dim", **settings: object) -> DIM:
    model = build_model(name, {**SMALL, **settings}, seed=0)
    assert isinstance(model, DIM)
    return model.eval()


def images(num: int = 5, seed: int = 0) -> torch.Tensor:
    return torch.rand(num, 1, 6, 6, generator=torch.Generator().manual_seed(seed))


def test_a_stack_computes_what_its_maps_compute() -> None:
    for shared in (True, False):
        stack = StackedLinear(4, 6, 3, shared_input=shared)
        value = torch.rand(2, 6) if shared else torch.rand(4, 2, 6)
        together = stack(value)
        for number in range(4):
            alone = MapOfStack(stack, number)(value if shared else value[number])
            torch.testing.assert_close(together[number], alone)


def test_what_is_written_into_a_map_is_written_into_the_stack_of_the_same_copy() -> None:
    model = small()
    other = copy.deepcopy(model)
    maps = [layer for layer in other.internal[2] if isinstance(layer, MapOfStack)]
    with torch.no_grad():
        maps[0].weight.fill_(7.0)
    stack = other.encoder[0]
    assert isinstance(stack, StackedLinear)
    assert bool((stack.weight[2] == 7).all())
    assert not bool((stack.weight[1] == 7).any())
    untouched = model.encoder[0]
    assert isinstance(untouched, StackedLinear)
    assert not bool((untouched.weight == 7).any())


@pytest.mark.parametrize("kind", FAMILY)
def test_relative_intensities_are_those_of_the_single_internal_models(kind: type[DIM]) -> None:
    model, batch = small(kind.name), images()
    if not model.config.binary:
        outputs = model.outputs(batch)
        torch.testing.assert_close(model.logits_from(batch, outputs), model(batch))
        own = outputs["answer_1"].abs().sum(1)
        shown = outputs.get("denoised", batch.flatten(1)).abs().sum(1).clamp_min(1)
        torch.testing.assert_close(model(batch)[:, 1], own / shown)


def test_errors_are_eq_2_with_the_indicator_put_right() -> None:
    model, batch = small(), images().flatten(1)
    label = torch.tensor([0, 2, 2, 1, 0])
    answers = torch.tanh(model.decoder(model.encoder(batch)))
    for number in range(3):
        target = batch * (label == number)[:, None]
        expected = (target - answers[number]).square().sum(1).mean()
        torch.testing.assert_close(model.internal_errors(batch, batch, label)[number], expected)


def test_no_internal_model_teaches_the_denoiser_or_another_one() -> None:
    model, batch = small(), images()
    label = torch.tensor([0, 1, 2, 0, 1])
    shown = model.shown_in_training(batch, torch.Generator().manual_seed(0))
    model.internal_errors(shown, batch.flatten(1), label)[1].backward()
    assert model.denoiser is not None
    assert all(weight.grad is None for weight in model.denoiser.parameters())
    for weight in (*model.encoder.parameters(), *model.decoder.parameters()):
        assert weight.grad is not None
        assert bool(weight.grad[1].any())
        assert not bool(weight.grad[[0, 2]].any())


def test_noise_and_brightness_have_the_printed_size() -> None:
    model = small("im", size=32)
    batch = torch.full((64, 1, 32, 32), 0.5)
    shown = model.shown_in_training(batch, torch.Generator().manual_seed(1))
    factor = shown.mean(1) / 0.5
    assert 0 <= float(factor.min()) < 0.2
    assert 0.8 < float(factor.max()) <= 1.1
    still = small("im", size=32, darkest=1.0).shown_in_training(batch, torch.Generator().manual_seed(1))
    assert float(((still > 1.0) | (still < 0.0)).float().mean()) == pytest.approx(1 / 6, abs=0.01)
    assert float(still.min()) >= -1
    assert float(still.max()) <= 2


def test_black_and_white_is_seen_twice() -> None:
    model = small("bidim")
    batch = images()
    assert torch.equal(model(batch), model((batch >= 0.5).float()))
    _, shown = model.answers(batch, lambda value: (value >= 0.5).float())
    assert set(shown.unique().tolist()) <= {0.0, 1.0}
    plain = model.rebuilt(binary=False)
    assert not torch.equal(plain(batch), model(batch))
    assert torch.equal(plain.rebuilt(binary=True)(batch), model(batch))
    with pytest.raises(ConfigError, match="other weights"):
        model.rebuilt(denoiser=False)


def test_attacks_find_stand_ins() -> None:
    plain, binary = small(), small("bidim")
    assert set(find_surfaces(plain)) == {"white-box", ADAPTIVE}
    assert set(find_surfaces(binary)) == {"white-box", ADAPTIVE, QUERY}
    for model in (plain, binary):
        for name, proxy in model.proxies().items():
            batch = images().requires_grad_(True)
            logits = proxy(batch)
            assert logits.shape == (5, 3)
            (gradient,) = torch.autograd.grad(logits[:, 0].sum(), batch)
            assert bool(gradient.flatten(1).any(1).all()), name
    batch = images()
    assert torch.equal(plain.proxies()["sharp"](batch).argmax(1), plain(batch).argmax(1))
    straight = binary.proxies()["straight-through"](batch)
    torch.testing.assert_close(straight / 20, binary(batch))


def test_intensities_of_any_scale_give_the_same_classes() -> None:
    model, batch = small(), images(20)
    with torch.no_grad():
        relative, plain, large = model(batch), Unnormalised(model)(batch), Unnormalised(model, 1.5)(batch)
    torch.testing.assert_close(large, 1.5 * plain)
    torch.testing.assert_close(plain / plain[:, :1], relative / relative[:, :1])
    for factor in (0.0, float("inf"), float("nan")):
        with pytest.raises(ConfigError, match="'factor' of the intensities must be a positive number, got"):
            Unnormalised(model, factor)


def test_wrong_settings_are_named() -> None:
    for settings, words in (
        ({"num_classes": 1}, "num_classes must be >= 2, got 1: the class is the internal model"),
        ({"latent": 0}, "latent must be >= 1"),
        ({"flips": 0.6}, r"flips must be in \[0, 0.5\]"),
        ({"denoiser_width": 4}, "denoiser_width must be >= 8"),
        ({"noise": -1.0}, "noise must be >= 0"),
        ({"threshold": 0.0}, "threshold must be in"),
    ):
        with pytest.raises(ConfigError, match=words):
            DIMConfig(**settings)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="'denoiser' of model 'dim' must be true or false, got 1"):
        build_model("dim", {"denoiser": 1}, seed=0)
    with pytest.raises(ConfigError, match="has no setting 'heads'"):
        build_model("dim", {"heads": 1}, seed=0)


def test_wrong_images_are_told() -> None:
    model = small()
    with pytest.raises(ConfigError, match=r"1 channel\(s\) and 6x6 pixels, got the shape"):
        model(torch.rand(2, 1, 7, 7))
    labels = torch.tensor([0, 0, 2, 2])
    few = ImageSet(name="few", images=images(4), labels=labels, num_classes=3)
    config = TrainConfig(epochs=1, batch_size=2, device="cpu")
    with pytest.raises(ConfigError, match="none of class 1: it would learn to answer nothing"):
        train_classifier(model, few, config)
    more = ImageSet(name="more", images=images(4), labels=torch.tensor([0, 1, 2, 3]), num_classes=4)
    with pytest.raises(ConfigError, match="knows 3 classes, and the training images have 4"):
        train_classifier(model, more, config)


def test_a_short_training_tells_classes_apart() -> None:
    """Three classes, each lit in another third of the image."""
    label = torch.arange(90) % 3
    lit = torch.zeros(90, 1, 6, 6)
    for number in range(3):
        lit[label == number, :, 2 * number : 2 * number + 2] = 1.0
    data = ImageSet(name="thirds", images=lit, labels=label, num_classes=3)
    config = TrainConfig(epochs=30, batch_size=10, learning_rate=2e-3, device="cpu")
    model = small(denoiser_width=48, width=48, bottleneck=12, latent=8, noise=0.1, flips=0.02, darkest=0.5)
    result = train_classifier(model, data, config)
    assert result.losses[-1] < result.losses[0]
    with torch.no_grad():
        assert float((result.model(lit).argmax(1) == label).float().mean()) == 1.0
