"""What a denoiser adds, and what an internal model for each class."""

from collections.abc import Mapping, Sequence

import numpy as np

from sleepdefense.evaluation.results import CLEAN
from sleepdefense.papers.dim2022.cells import Fallen
from sleepdefense.papers.paired import Difference, count_differences, paired_difference
from sleepdefense.papers.side_by_side import Measured, SideBySide

AllFallen = Mapping[str, Sequence[Mapping[str, Fallen]]]
"""What each attack did, by column, seed by seed."""

CLAIMS = (
    ("Adding the denoiser to one encoder", "singleIM", "Dn-singleIM"),
    ("Adding the denoiser to internal models", "IM", "DIM"),
    ("An internal model for each class in place of one encoder, without denoiser", "singleIM", "IM"),
    ("An internal model for each class in place of one encoder, with denoiser", "Dn-singleIM", "DIM"),
)
"""What Tables 2 and 4 are said to show: in words, the network without the part, and with it."""


def ordering(fallen: AllFallen) -> tuple[str, ...]:
    """Say whether the denoiser helps, and whether an internal model for each class beats one for all."""
    sentences = []
    for words, without, with_it in CLAIMS:
        known = {row: each for row, each in _differences(fallen, without, with_it).items() if row != CLEAN}
        if known:
            sentences.append(count_differences(f"{words} ({without} to {with_it})", known))
    return tuple(sentences)


def differences_table(number: int, fallen: AllFallen) -> SideBySide:
    """Return the points of accuracy that each part adds, attack by attack, image by image."""
    found = {
        f"{without} to {with_it}": _differences(fallen, without, with_it) for _, without, with_it in CLAIMS
    }
    return SideBySide(
        name=f"table{number}-differences",
        title="Points of accuracy that a part adds, with 95 % intervals over the same images",
        rows=tuple(dict.fromkeys(row for each in found.values() for row in each)),
        columns=tuple(found),
        measured={
            (row, column): Measured(
                values=(each.points,), unit="", status=f"{each.lower:+.1f} to {each.upper:+.1f}"
            )
            for column, known in found.items()
            for row, each in known.items()
        },
        corner="attack",
    )


def _differences(fallen: AllFallen, without: str, with_it: str) -> dict[str, Difference]:
    """Return how much more one network gets right than another, over the images of all seeds."""
    pairs = list(zip(fallen.get(without, ()), fallen.get(with_it, ()), strict=False))
    known = {}
    for attack in dict.fromkeys(name for one, _ in pairs for name in one):
        both = [(one[attack], other[attack]) for one, other in pairs if attack in one and attack in other]
        sound = [(one, other) for one, other in both if not (one.is_error or other.is_error)]
        if sound and all(len(one.stands) == len(other.stands) for one, other in sound):
            known[attack] = paired_difference(
                np.concatenate([other.stands for _, other in sound]),
                np.concatenate([one.stands for one, _ in sound]),
            )
    return known
