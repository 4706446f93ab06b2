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


class Averaged(nn.Module):
    """A classifier behind a purifier that replaces each quarter by its mean."""

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        self.purifier = nn.Sequential(nn.AvgPool2d(4), nn.Upsample(scale_factor=4))
        self.classifier = classifier

    def forward(self, image):
        return self.classifier(self.purifier(image))

    def attack_surfaces(self):
        return {"oblivious": self.classifier, "white-box": self}


@pytest.fixture
def purified(classifier) -> nn.Module:
    return Averaged(classifier).eval()
