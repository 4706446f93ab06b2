import math

import pytest
import torch
from quadrants import make_images
from small_attacks import Sums

from sleepdefense.attacks import parse_attacks
from sleepdefense.bench.attacks import measure_attacks
from sleepdefense.errors import ConfigError


def test_every_attack_is_measured_on_images_the_network_gets_right():
    data = make_images(40)
    data.labels[:3] = (data.labels[:3] + 1) % 4  # which the network does not
    specs = parse_attacks("FGSM,BIM,L2:Inversion,Boundary(steps=5),CW(steps=3)")
    seen = []
    costs = measure_attacks(specs, Sums(), data, num_images=5, progress=lambda *call: seen.append(call))
    assert [cost.attack for cost in costs] == [str(spec) for spec in specs]
    assert seen == [(number, 5, spec.label) for number, spec in enumerate(specs)]
    fgsm, bim, inversion, boundary, _ = costs
    assert (fgsm.forward, fgsm.backward) == (1, 1)
    assert (bim.forward, bim.backward) == (10, 10)
    assert (inversion.forward, inversion.backward) == (0, 0)
    assert boundary.forward > 5
    assert (fgsm.accuracy, bim.accuracy) == (0, 0)
    assert fgsm.distance == pytest.approx(0.3, abs=1e-6)
    assert inversion.accuracy == 1  # it finds, but farther away than epsilon
    assert 1.5 < inversion.distance < 8


class Slow(Sums):
    """Sets a clock forward by a second whenever it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        self.now += 1
        return super().forward(image)


def test_seconds_are_those_of_the_attack_alone_for_each_image(monkeypatch):
    model = Slow()
    monkeypatch.setattr("time.process_time", lambda: model.now)
    costs = measure_attacks(parse_attacks("L2:Inversion,FGSM,BIM"), model, make_images(40), num_images=5)
    # No pass, one pass and ten, each of five images at once.
    assert [cost.seconds for cost in costs] == [0, 1 / 5, 10 / 5]


def test_threads_are_left_as_they_were():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        measure_attacks(parse_attacks("FGSM"), Sums(), make_images(10), num_images=2)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_too_few_images_are_an_error():
    with pytest.raises(ConfigError, match="wanted 11 images that the network gets right, found 10"):
        measure_attacks(parse_attacks("FGSM"), Sums(), make_images(10), num_images=11)


def test_dear_attacks_are_reckoned_or_shortened():
    specs = parse_attacks("L2:Boundary,Linf:Square,FGSM")
    boundary, square, fgsm = measure_attacks(specs, Sums(), make_images(20), num_images=4)
    assert [cost.how for cost in (boundary, square, fgsm)] == ["reckoned", "a 20th, times 20", "measured"]
    assert boundary.forward == specs[0].forward
    # at a thousandth of its epsilon it never succeeds, and so asks as often as it may
    assert 4000 < square.forward <= 5200
    assert math.isnan(boundary.accuracy)
    assert min(boundary.seconds, square.seconds) > fgsm.seconds > 0


def test_dear_attacks_are_run_where_that_is_wanted():
    (cost,) = measure_attacks(
        parse_attacks("Linf:Square(queries=40)"), Sums(), make_images(10), num_images=2, dear=True
    )
    assert cost.how == "measured"
    assert not math.isnan(cost.accuracy)
