"""A network small enough to be computed in a moment, that fires like the large one."""

import numpy as np
import pytest

from sleepdefense.bench.network import GRID, Geometry
from sleepdefense.bench.workload import Workload, make_workload

TINY = (
    Geometry(5, 3, 1, 1, k=3, radius=1),
    Geometry(4, 4, 2, 3, k=2, radius=1),
    Geometry(3, 2, 2, 0, k=1, radius=0),
)


@pytest.fixture(scope="session")
def workload() -> Workload:
    """Three images of 8 x 8 pixels, three stages, 24 steps, a tenth of the neurons firing."""
    images = np.random.default_rng(0).random((3, 1, 8, 8), dtype=np.float32)
    return make_workload(images, TINY, unit=GRID, num_steps=24, rate=0.1)
