import re
from pathlib import Path

import pytest

import sleepdefense as sd
from sleepdefense.errors import DataError
from sleepdefense.evaluation.files import save_results
from sleepdefense.models.saving import awake_checkpoint

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


def test_a_path_may_be_text(tmp_path: Path) -> None:
    model = sd.build_model("c4", {"hidden": 2, "size": 8}, seed=0)
    sd.save_checkpoint(f"{tmp_path}/c4.h5", awake_checkpoint(model, provenance={}))
    assert sd.load_checkpoint(f"{tmp_path}/c4.h5").kind == "awake"
    _, test = sd.load_data("digits", limit=1, test_limit=4, native=True)
    table = sd.evaluate(sd.awake_from_file(f"{tmp_path}/c4.h5"), test, attacks="FGSM")
    save_results(f"{tmp_path}/table.h5", table)
    assert sd.load_results(f"{tmp_path}/table.h5").csv() == table.csv()
    with pytest.raises(DataError, match=re.escape(str(tmp_path))):
        sd.load_data("mnist", data_dir=str(tmp_path))
