import pytest
from quadrants import Quadrants, make_images
from torch import nn

from sleepdefense.data.image_set import ImageSet


@pytest.fixture
def classifier() -> nn.Module:
    return Quadrants().eval()


@pytest.fixture
def data() -> ImageSet:
    return make_images(12)
