import masks
import pytest
from torch import nn

from sleepdefense.data.image_set import ImageSet
from sleepdefense.evaluation.checks import CheckConfig


@pytest.fixture(scope="session")
def cnn() -> nn.Module:
    return masks.train_digits_cnn()


@pytest.fixture(scope="session")
def digits() -> ImageSet:
    return masks.digits()


@pytest.fixture(scope="session")
def config() -> CheckConfig:
    """Few images and points, so that all checks on one network take a fraction of a second."""
    return CheckConfig(
        num_images=20,
        steps=10,
        num_probed=8,
        num_directions=16,
        num_random_points=24,
        num_noise_points=20,
        num_queries=20,
        num_planted=4,
    )
