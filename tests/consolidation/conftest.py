"""Networks that are only read, made once."""

import pytest
from sleepers import Residual, make_images, seeded, spiking
from torch import Tensor

from sleepdefense.models import FCVAE, DefenseVAE
from sleepdefense.spiking import SpikingNetwork


@pytest.fixture(scope="session")
def images() -> Tensor:
    return make_images(48)


@pytest.fixture(scope="session")
def fc() -> SpikingNetwork:
    """64-12-3-12-64."""
    return spiking(seeded(FCVAE, hidden=12, latent=3, size=8))


@pytest.fixture(scope="session")
def conv() -> SpikingNetwork:
    """The paper's encoder and decoder with 3, 3, 6 and 12 maps."""
    return spiking(seeded(DefenseVAE, width=3, latent=3, size=8))


@pytest.fixture(scope="session")
def residual() -> SpikingNetwork:
    return spiking(seeded(Residual))
