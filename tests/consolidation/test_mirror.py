import re

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sleepers import seeded, spiking
from torch import nn

from sleepdefense.consolidation.mirror import find_mirror, mirrored
from sleepdefense.consolidation.plasticity import find_plasticity


def mirror_of(network):
    return find_mirror(network, find_plasticity(network).stages)


def test_encoder_and_decoder_are_matched_from_the_outside_in(conv, fc):
    assert mirror_of(conv).twins == {
        "encoder.0": "decoder.9",
        "encoder.3": "decoder.6",
        "encoder.6": "decoder.3",
        "encoder.9": "decoder.0",
    }
    assert mirror_of(conv).notes == ()
    assert mirror_of(fc).twins == {"encoder.1": "decoder.2"}


def test_counts_of_a_linear_map_are_transposed():
    counts = np.arange(6).reshape(2, 3)
    assert_array_equal(mirrored(counts), counts.T)
    counts = np.arange(24).reshape(2, 3, 2, 2)
    assert_array_equal(mirrored(counts), counts)


def autoencoder(decoder) -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(1, 3, 4, stride=2, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(48, 2)),
        *(nn.Linear(2, 48), nn.ReLU(), nn.Unflatten(1, (3, 4, 4)), *decoder()),
    )


@pytest.mark.parametrize(
    ("decoder", "reason"),
    [
        (
            lambda: [nn.ConvTranspose2d(3, 1, 2, stride=2)],
            r"weights \(3, 1, 2, 2\), expected 'conv_transpose2d' with",
        ),
        (
            lambda: [nn.ConvTranspose2d(3, 1, 4, stride=2)],
            r"has stride and padding \(\(2, 2\), \(0, 0\)\), expected",
        ),
        (lambda: [nn.Flatten(), nn.Linear(48, 64)], "is of kind 'linear'"),
        (
            lambda: [nn.ConvTranspose2d(3, 1, 4, stride=2, padding=1, output_padding=1)],
            r"to \(1, 9, 9\), expected",
        ),
    ],
)
def test_what_does_not_mirror_is_said(decoder, reason):
    mirror = mirror_of(spiking(seeded(autoencoder, decoder)))
    assert mirror.twins == {}
    (note,) = mirror.notes
    assert note.startswith("stage '0' has no mirror twin: ")
    assert re.search(reason, note)


def test_a_stage_beyond_the_decoder_has_no_twin():
    network = spiking(seeded(lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())))
    assert mirror_of(network).notes == ("stage '0' has no mirror twin: nothing is left at its place",)
