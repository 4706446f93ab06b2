import subprocess
import sys
from types import ModuleType

import pytest

import sleepdefense.attacks
import sleepdefense.attacks.refinement
import sleepdefense.evaluation


@pytest.mark.parametrize("name", ["BPDA", "EOT", "LOSSES", "AnyOf", "attack_loss", "refine_binarised"])
def test_what_computes_is_found_by_name(name: str) -> None:
    assert not isinstance(getattr(sleepdefense.attacks, name), ModuleType)


@pytest.mark.parametrize("name", sleepdefense.evaluation.__all__)
def test_every_name_of_the_evaluation_is_there(name: str) -> None:
    assert getattr(sleepdefense.evaluation, name) is not None


def test_unknown_names_are_attribute_errors() -> None:
    for module in (sleepdefense.attacks, sleepdefense.evaluation):
        with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
            _ = module.nothing


def test_the_catalogue_needs_no_torch() -> None:
    code = "import sys, sleepdefense.attacks; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
