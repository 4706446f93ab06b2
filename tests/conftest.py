"""Shared set-up. The lines on Numba must run before Numba is imported."""

import hashlib
import os
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent

os.environ.setdefault("NUMBA_BOUNDSCHECK", "1")
_kernels = b"".join(path.read_bytes() for path in sorted((ROOT / "kernels").glob("*.py")))
_key = hashlib.sha256(os.environ["NUMBA_BOUNDSCHECK"].encode() + _kernels).hexdigest()[:12]
os.environ.setdefault("NUMBA_CACHE_DIR", str(ROOT / ".numba_cache" / _key))
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does
settings.register_profile("sleepdefense", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("sleepdefense")

FIRST = (
    "kernels/test_integrate.py",
    "attacks/test_build.py",
    "attacks/test_build_on_odd_models.py",
    "kernels/test_weight_types.py",
    "test_cluster.py",
    "training/test_end_to_end.py",
    "consolidation/test_engines.py",
    "training/test_awake.py",
    "pipeline/test_run.py",
)
"""The longest files: no process is left with one at the end, and no two compile the same kernels at once."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first and the examples in docstrings, which are short, last."""
    place = {ROOT / "tests" / name: number for number, name in enumerate(FIRST)}
    package = ROOT / "sleepdefense"
    items.sort(key=lambda item: place.get(item.path, len(FIRST) + (package in item.path.parents)))


@pytest.fixture(autouse=True)
def _global_generators() -> None:
    """Start every test with the same random numbers, whichever tests ran before it in this process."""
    import torch  # the process that hands out the tests to others needs none

    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def mnist_dir() -> Path:
    """The folder that holds the real data sets, or a skip that says how to provide it."""
    folder = os.environ.get("SLEEPDEFENSE_DATA")
    if not folder or not (Path(folder) / "mnist").is_dir():
        pytest.skip("real MNIST not found: set SLEEPDEFENSE_DATA to a folder that contains mnist/")
    return Path(folder)
