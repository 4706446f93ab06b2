from pathlib import Path

import pytest
from tiny_run import tiny

from sleepdefense.pipeline import Context, run


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny run that nothing interrupted."""
    out = tmp_path_factory.mktemp("run") / "tiny"
    run(tiny(), out, Context())
    return out
