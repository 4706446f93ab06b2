import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def test_every_folder_of_the_package_is_listed() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    found = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for path in (ROOT / "sleepdefense").glob("**/__init__.py")
    }
    found.add("sleepdefense.kernels")  # a link, which older Pythons do not follow here
    assert set(listed) == found


def test_kernels_is_only_a_home() -> None:
    result = subprocess.run(
        [sys.executable, "-c", "import kernels"], cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode != 0
    assert "import sleepdefense.kernels" in result.stderr


def test_kernels_import_from_the_root() -> None:
    code = "import sleepdefense.kernels as k; print(k.__name__)"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "sleepdefense.kernels"


@pytest.mark.slow
def test_the_wheel_holds_the_kernels_and_no_top_level_kernels(tmp_path: Path) -> None:
    import zipfile

    copy = tmp_path / "source"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(copy)], check=True)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--wheel-dir",
        str(tmp_path),
        str(copy),
    ]
    subprocess.run(command, check=True)
    (found,) = tmp_path.glob("sleepdefense-*.whl")
    names = zipfile.ZipFile(found).namelist()
    assert "sleepdefense/kernels/kwta.py" in names
    assert "sleepdefense/py.typed" in names
    assert not any(name.startswith(("kernels/", "tests/", "examples/")) for name in names)
