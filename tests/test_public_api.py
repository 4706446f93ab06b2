import re
from pathlib import Path

import pytest

import sleepdefense as sd

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("name", sd.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(sd, name) is not None
    assert name in dir(sd)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'dream'"):
        _ = sd.dream


def test_the_readme_uses_public_names_only() -> None:
    used = set(re.findall(r"\bsd\.(\w+)", (ROOT / "README.md").read_text()))
    assert used <= set(sd.__all__)
