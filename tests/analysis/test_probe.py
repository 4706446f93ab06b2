from typing import Any

import pytest
import torch
from scipy.stats import binomtest
from torch import Tensor, nn

from sleepdefense.analysis import ProbeTable, probe_latents
from sleepdefense.conversion import to_spiking
from sleepdefense.data import ImageSet
from sleepdefense.errors import EvaluationError
from sleepdefense.models import FCVAE


def _quarters(num: int, *, seed: int, shuffled: bool = False) -> ImageSet:
    """Four classes: which quarter of an 8x8 image is lit."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(num) % 4
    images = 0.2 * torch.rand(num, 1, 8, 8, generator=generator)
    for image, label in zip(images, labels.tolist(), strict=True):
        row, column = 4 * (label // 2), 4 * (label % 2)
        image[0, row : row + 4, column : column + 4] += 0.5
    if shuffled:
        labels = labels[torch.randperm(num, generator=generator)]
    return ImageSet(name="quarters", images=images, labels=labels, num_classes=4)


class Code(FCVAE):
    """An autoencoder whose code is a linear map that we choose."""

    def __init__(self, code: Tensor) -> None:
        super().__init__(hidden=64, latent=len(code), size=8)
        with torch.no_grad():
            self.encoder[1].weight.copy_(torch.eye(64))
            self.encoder[1].bias.zero_()
            self.mean.weight.copy_(code)
            self.mean.bias.zero_()


def _sums() -> Tensor:
    """The sums of the four quarters: all there is to know."""
    code = torch.zeros(4, 8, 8)
    for label in range(4):
        row, column = 4 * (label // 2), 4 * (label % 2)
        code[label, row : row + 4, column : column + 4] = 1
    return code.flatten(1)


TRAIN, TEST = _quarters(120, seed=0), _quarters(80, seed=1)


def test_planted_structure_is_found_and_noise_is_not() -> None:
    informed = Code(_sums())
    found = probe_latents({"sums": informed}, TRAIN, TEST).row("sums")
    assert (found.accuracy, found.correct, found.num_images) == (1.0, 80, 80)
    assert found.converged
    shuffled = _quarters(120, seed=2, shuffled=True)
    chance = probe_latents({"sums": informed}, shuffled, _quarters(80, seed=3, shuffled=True)).row("sums")
    assert chance.low < 0.25 < chance.high
    blind = Code(torch.zeros(4, 64))
    assert probe_latents({"blind": blind}, TRAIN, TEST).row("blind").accuracy == pytest.approx(0.25)


def test_the_interval_is_wilsons() -> None:
    row = probe_latents({"sums": Code(_sums())}, TRAIN, TEST, [1.0]).row("sums", 1.0)
    assert 0 < row.correct < 80
    interval = binomtest(row.correct, 80).proportion_ci(method="wilson")
    assert (row.low, row.high) == (interval.low, interval.high)
    assert row.accuracy == row.correct / 80


def test_noise_hurts_and_is_the_same_for_all_networks_and_every_time() -> None:
    networks = {"one": Code(_sums()), "two": Code(_sums())}
    table = probe_latents(networks, TRAIN, TEST, [0.5, 2.0], seed=3)
    assert [(row.network, row.noise) for row in table.rows] == [
        (name, noise) for name in ("one", "two") for noise in (0.0, 0.5, 2.0)
    ]
    one = [table.row("one", noise).correct for noise in (0.0, 0.5, 2.0)]
    assert one == [table.row("two", noise).correct for noise in (0.0, 0.5, 2.0)]
    assert one[0] > one[2]
    assert probe_latents(networks, TRAIN, TEST, [0.5, 2.0], seed=3) == table
    assert probe_latents({"one": networks["one"]}, TRAIN, TEST, [2.0], seed=3).row("one", 2.0) == table.row(
        "one", 2.0
    )
    other = [probe_latents(networks, TRAIN, TEST, [2.0], seed=seed).row("one", 2.0) for seed in range(4, 8)]
    assert any(row.correct != one[2] for row in other)


def test_the_scale_of_a_code_does_not_matter() -> None:
    large, small = Code(1e4 * _sums()), Code(1e-4 * _sums())
    table = probe_latents({"large": large, "small": small}, TRAIN, TEST, [1.0])
    for noise in (0.0, 1.0):
        assert table.row("large", noise).correct == pytest.approx(table.row("small", noise).correct, abs=1)


def test_a_small_unit_is_read_beside_large_ones_that_say_nothing() -> None:
    rows = torch.randn(4, 64, generator=torch.Generator().manual_seed(0))
    nothing = rows - rows @ torch.linalg.pinv(_sums()) @ _sums()  # blind to the sums of the quarters
    mixed = Code(torch.cat([1e-5 * _sums(), nothing]))
    assert probe_latents({"mixed": mixed}, TRAIN, TEST).row("mixed").accuracy == 1.0


def test_a_spiking_network_is_probed_by_its_own_code() -> None:
    awake = Code(_sums())
    spiking = to_spiking(awake, TRAIN.images)
    table = probe_latents({"awake": awake, "spiking": spiking}, TRAIN, TEST, num_steps=32)
    assert table.row("spiking").accuracy == table.row("awake").accuracy == 1.0
    silent = spiking.with_weights({"mean": torch.zeros_like(spiking.weights["mean"])})
    assert probe_latents({"silent": silent}, TRAIN, TEST, num_steps=4).row("silent").accuracy <= 0.25


def test_a_table_is_text_and_json() -> None:
    table = probe_latents({"sums": Code(_sums())}, TRAIN, TEST, [2.0])
    lines = str(table).splitlines()
    assert lines[0].split() == ["network", "noise", "accuracy", "95", "%", "interval", "n"]
    assert lines[2].split()[:3] == ["sums", "0", "100.0%"]
    assert [row["noise"] for row in table.to_json()] == [0.0, 2.0]
    assert ProbeTable(rows=()).to_json() == []
    with pytest.raises(EvaluationError, match="no row of network 'none' at noise 0"):
        table.row("none")


@pytest.mark.parametrize("noises", [[0.0], [-1.0], [0.5, 0.5], [float("nan")], [float("inf")]])
def test_wrong_strengths_are_refused(noises: list[float]) -> None:
    with pytest.raises(EvaluationError, match="the strengths of noise must be > 0 and differ"):
        probe_latents({"sums": Code(_sums())}, TRAIN, TEST, noises)


def test_what_cannot_be_probed_is_named() -> None:
    plain: dict[str, Any] = {"plain": nn.Flatten()}
    with pytest.raises(EvaluationError, match="a Flatten has no latent code: expected a purifier"):
        probe_latents(plain, TRAIN, TEST)
    with pytest.raises(EvaluationError, match="the latent codes of network 'broken' are not finite"):
        probe_latents({"broken": Code(_sums() * float("nan"))}, TRAIN, TEST)
    one_class = ImageSet(name="zeros", images=TRAIN.images[:3], labels=torch.zeros(3).long(), num_classes=4)
    with pytest.raises(EvaluationError, match="the images of 'zeros' are of one class"):
        probe_latents({"sums": Code(_sums())}, one_class, TEST)


def test_the_networks_stay_as_they_are() -> None:
    network = Code(_sums()).train()
    probe_latents({"sums": network}, TRAIN, TEST)
    assert network.training
    assert all(weight.grad is None and weight.requires_grad for weight in network.parameters())
