"""Real MNIST, at a scale that CI can bear: what the package promises of conversion and sleep."""

from pathlib import Path

import pytest
import torch
from torch.nn.functional import mse_loss

import sleepdefense as sd


@pytest.fixture(scope="module")
def trained(mnist_dir: Path) -> tuple[torch.nn.Module, sd.ImageSet, sd.ImageSet]:
    """A narrow Defense-VAE after four passes over 2,000 digits, with the images."""
    train, test = sd.load_data("mnist", data_dir=mnist_dir, limit=2000, test_limit=200)
    model = sd.build_model("defense-vae", {"width": 8, "latent": 16, "kl_weight": 0.1}, seed=0)
    levels = (train.images * 255).round().to(torch.uint8)
    pairs = sd.PairSet(variants=("clean",), noisy=levels[None], clean=train.images, labels=train.labels)
    config = sd.TrainConfig(epochs=4, batch_size=32, learning_rate=2e-3, device="cpu")
    return sd.train(model, pairs, config).model, train, test


@pytest.mark.long
def test_the_spiking_vae_reconstructs_as_the_awake_one(
    trained: tuple[torch.nn.Module, sd.ImageSet, sd.ImageSet],
) -> None:
    model, train, test = trained
    network = sd.to_spiking(model, train.images[:1024])
    images = test.images[:12]
    with torch.no_grad():
        awake = float(mse_loss(model(images), images))
    spiking = float(mse_loss(sd.simulate(network, images, num_steps=256).outputs["image"].float(), images))
    assert spiking == pytest.approx(awake, rel=0.10)
    report = sd.conversion_report(network, images, num_steps=(256,))
    for layer in report.layers:
        assert layer.correlation[256] >= 0.98, layer.name


@pytest.mark.long
def test_a_dose_of_sleep_is_exact_and_the_guard_holds(
    trained: tuple[torch.nn.Module, sd.ImageSet, sd.ImageSet],
) -> None:
    model, train, _ = trained
    network = sd.to_spiking(model, train.images[:1024])
    slept = sd.sleep(network, train.images, sd.MirroredSTDP(), config=sd.SleepConfig(rho=0.03, num_steps=16))
    for name in slept.diary.stages:
        before, after = network.weights[name].double(), slept.network.weights[name].double()
        assert float((after - before).norm() / before.norm()) == pytest.approx(0.03, rel=1e-4)
    assert set(slept.diary.reached) == set(slept.diary.stages)
    assert len(slept.diary.twins) == 4
