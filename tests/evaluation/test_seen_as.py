import torch

from sleepdefense.evaluation.seen_as import SeenAs
from sleepdefense.evaluation.surfaces import find_surfaces


def test_a_system_is_attacked_in_one_way() -> None:
    judged, surface = torch.nn.Flatten(), torch.nn.Flatten()
    assert find_surfaces(SeenAs(judged, "white-box")) == {"white-box": judged}
    seen = SeenAs(judged, "oblivious", surface)
    assert find_surfaces(seen) == {"oblivious": surface}
    assert seen(torch.ones(2, 1, 1, 3)).shape == (2, 3)
