import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).resolve().parent.parent / "examples").glob("*.py"))


@pytest.mark.long
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_example_runs(path: Path) -> None:
    result = subprocess.run(
        [sys.executable, str(path), "--quick"], capture_output=True, text=True, timeout=240
    )
    assert result.returncode == 0, result.stderr
    assert "as it should be: layer '2' is a GELU" in result.stdout
