import pytest
from sleepers import seeded, spiking
from torch import nn

from sleepdefense.consolidation import SleepConfig
from sleepdefense.consolidation.competition import contests
from sleepdefense.consolidation.plasticity import find_plasticity
from sleepdefense.errors import ConfigError


def settled(network, **settings):
    return list(contests(find_plasticity(network).stages, SleepConfig(**settings)).values())


def test_four_convolutions_take_the_paper_s_numbers(conv):
    assert settled(conv) == [(5, 3), (5, 2), (8, 1), (1, 0)]


def test_one_number_serves_all_stages_and_a_tuple_each(conv):
    assert settled(conv, k=2, radius=(0, 1, 2, 3)) == [(2, 0), (2, 1), (2, 2), (2, 3)]


def test_elsewhere_the_radius_follows_the_size_as_in_the_paper():
    def layers() -> nn.Module:
        convolutions = [nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.Conv2d(2, 4, 3, stride=2), nn.ReLU()]
        linear = [nn.Flatten(), nn.Linear(36, 32), nn.ReLU(), nn.Linear(32, 8), nn.ReLU()]
        return nn.Sequential(*convolutions, *linear)

    # Sides of 8 and 3 pixels: round(log2(8)) - 2 = 1, round(log2(3)) - 2 = 0; a quarter of 32 and of 8 units.
    assert settled(spiking(seeded(layers))) == [(5, 1), (5, 0), (8, 0), (2, 0)]


def test_a_tuple_of_another_length_is_refused(conv):
    with pytest.raises(
        ConfigError, match=r"sleep.k has 2 values, expected one for each of the 4 stages.*encoder.9"
    ):
        settled(conv, k=(5, 5))
