import os
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import batch_norm, conv_transpose2d, elu

from sleepdefense.data import ImageSet, load_data
from sleepdefense.errors import CheckpointError, ConfigError
from sleepdefense.models import ABS, build_model
from sleepdefense.models.public_weights import abs_from_published, load_published_abs
from sleepdefense.models.synthesis_search import descend, search
from sleepdefense.training import TrainConfig, train_classifier

SMALL = {"width": 4, "latent": 2, "samples": 30, "num_steps": 5, "size": 16, "num_classes": 3}
PUBLISHED = Path(os.environ.get("SLEEPDEFENSE_DATA", "")) / "abs"


def small(name: str = "abs", **settings: object) -> ABS:
    model = build_model(name, {**SMALL, **settings}, seed=0)
    assert isinstance(model, ABS)
    return model.eval()


def images(num: int = 4) -> Tensor:
    return torch.rand(num, 1, 16, 16, generator=torch.Generator().manual_seed(1))


def test_the_search_finds_the_best_start() -> None:
    model, batch = small(), images()
    starts, imagined = model.get_buffer("starts"), model.imagined()
    found = search(batch, starts, imagined, kl_weight=1.0)
    for place, image in enumerate(batch):
        for number in range(3):
            costs = (image.flatten() - imagined[number]).square().sum(1) + 0.5 * starts.square().sum(1)
            assert torch.equal(found[place, number], starts[costs.argmin()])


def test_starts_leave_out_the_unlikely_tenth() -> None:
    starts = small(samples=900).get_buffer("starts")
    assert starts.shape == (900, 2)
    assert float(starts.norm(dim=1).max()) < 2.4  # of the whole prior, a tenth lies beyond 2.15


def test_a_descent_goes_down_and_stays_in_the_ball() -> None:
    model, batch = small(), images()
    first = search(batch, model.get_buffer("starts"), model.imagined(), kl_weight=1.0)

    def cost(latent: Tensor) -> Tensor:
        return model.cost(batch, latent)

    last = descend(cost, first, num_steps=20, learning_rate=0.05, radius=5.0)
    with torch.no_grad():
        assert bool((cost(last) < cost(first)).all())
    inside = descend(cost, first, num_steps=5, learning_rate=0.05, radius=0.3)
    assert float(inside.norm(dim=2).max()) <= 0.3 + 1e-6
    kept = torch.sign(inside) == torch.sign(first)
    assert bool(kept.any())  # clipping keeps signs


def test_the_gradient_is_that_of_the_best_latents() -> None:
    """The envelope theorem, by finite differences that search anew."""
    model = small(num_steps=300, learning_rate=0.02).double()
    batch = images(1).double().requires_grad_(True)
    (gradient,) = torch.autograd.grad(model(batch)[0, 1], batch)
    direction = torch.randn(batch.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    step = 1e-3
    with torch.no_grad():
        rise = model(batch + step * direction)[0, 1] - model(batch - step * direction)[0, 1]
    assert float(rise) / (2 * step) == pytest.approx(float((gradient * direction).sum()), rel=0.02)


def test_changed_weights_are_imagined_anew() -> None:
    model = small()
    before = model.imagined()
    assert model.imagined() is before
    with torch.no_grad():
        model.decoder[0].weight.mul_(2)
    assert not torch.equal(model.imagined(), before)


def test_groups_are_the_networks_of_single_classes() -> None:
    """The published layers, one class at a time: kernels 4, 5, 5, 4, strides 1, 2, 2, 1."""
    states = [_published_state(number) for number in range(3)]
    model = abs_from_published(states)
    latent = torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        made = model.decode(latent)
        for number, state in enumerate(states):
            value = latent[:, number, :, None, None]
            for layer, stride in enumerate((1, 2, 2, 1)):
                name = f"Decoder.conv_{layer}"
                value = conv_transpose2d(value, state[f"{name}.weight"], state[f"{name}.bias"], stride=stride)
                if layer < 3:
                    parts = ("running_mean", "running_var", "weight", "bias")
                    value = elu(batch_norm(value, *(state[f"Decoder.bn_{layer}.{part}"] for part in parts)))
            torch.testing.assert_close(made[:, number], torch.sigmoid(value), rtol=1e-4, atol=1e-5)
    states[0].pop("Decoder.conv_3.bias")
    with pytest.raises(CheckpointError, match="not those of a published ABS network"):
        abs_from_published(states)


def test_a_folder_without_all_ten_is_told(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"lacks the published files ABS_0.net, .*an ABS network needs"):
        load_published_abs(tmp_path)


def test_a_short_training_tells_classes_apart() -> None:
    label = torch.arange(60) % 3
    lit = torch.zeros(60, 1, 16, 16)
    for number in range(3):
        lit[label == number, :, 5 * number : 5 * number + 5] = 1.0
    data = ImageSet(name="thirds", images=lit, labels=label, num_classes=3)
    config = TrainConfig(epochs=10, batch_size=20, learning_rate=1e-2, device="cpu")
    model = train_classifier(small(), data, config).model
    with torch.no_grad():
        assert float((model(lit[:9]).argmax(1) == label[:9]).float().mean()) == 1.0


def test_wrong_settings_and_images_are_told() -> None:
    for settings, words in (
        ({"num_classes": 1}, "num_classes must be >= 2"),
        ({"size": 18}, "multiple of 4"),
        ({"samples": 0}, "samples must be >= 1"),
        ({"radius": 0.0}, "radius must be > 0"),
    ):
        with pytest.raises(ConfigError, match=words):
            small(**settings)
    labels = torch.zeros(4, dtype=torch.int64)
    with pytest.raises(ConfigError, match="none of class 1, 2"):
        small().check_data(images(), labels)
    with pytest.raises(ConfigError, match="built for images of shape"):
        small().check_data(torch.rand(4, 1, 8, 8), labels)


@pytest.mark.long
@pytest.mark.skipif(not (PUBLISHED / "ABS_0.net").exists(), reason="the published weights are not here")
def test_published_networks_know_mnist() -> None:
    _, test = load_data("mnist", limit=1, test_limit=100)
    model = load_published_abs(PUBLISHED).rebuilt(num_steps=0, samples=1000)
    with torch.no_grad():
        assert float((model(test.images).argmax(1) == test.labels).float().mean()) > 0.95


def _published_state(seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    state: dict[str, Tensor] = {}
    shapes = {
        "Encoder": ((32, 1, 5, 5), (32, 32, 4, 4), (64, 32, 3, 3), (16, 64, 5, 5)),
        "Decoder": ((8, 32, 4, 4), (32, 16, 5, 5), (16, 16, 5, 5), (16, 1, 4, 4)),
    }
    for part, weights in shapes.items():
        for layer, shape in enumerate(weights):
            maps = shape[0] if part == "Encoder" else shape[1]
            state[f"{part}.conv_{layer}.weight"] = torch.randn(shape, generator=generator) / 10
            state[f"{part}.conv_{layer}.bias"] = torch.randn(maps, generator=generator)
            if layer < 3:
                for name in ("weight", "bias", "running_mean", "running_var"):
                    state[f"{part}.bn_{layer}.{name}"] = torch.rand(maps, generator=generator) + 0.1
    return state
