"""Tables 5 and 6: substitutes in files, and the accuracy of each attribute."""

from pathlib import Path

import numpy as np
import pytest
import torch

from sleepdefense.checkpoint import save_checkpoint
from sleepdefense.config import ModelConfig
from sleepdefense.data import ImageSet
from sleepdefense.errors import ConfigError
from sleepdefense.evaluation import RobustnessTable, SubstituteConfig
from sleepdefense.evaluation.results import Judged, make_table
from sleepdefense.models import awake_checkpoint, build_model
from sleepdefense.papers import Job
from sleepdefense.papers.scores import Scores
from sleepdefense.papers.talafha2023.plan import plan_for
from sleepdefense.papers.talafha2023.substitute_step import substitute_step
from sleepdefense.papers.talafha2023.table5 import Answers, _attribute_table, _table, clean_of
from sleepdefense.pipeline import Context


def test_a_substitute_is_trained_once(tmp_path: Path) -> None:
    target = build_model("c4", {"hidden": 8, "size": 8}, seed=1)
    save_checkpoint(tmp_path / "target.h5", awake_checkpoint(target, provenance={}))
    images = torch.rand(12, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    data = ImageSet(name="noise", images=images, labels=torch.zeros(12, dtype=torch.long), num_classes=10)
    told: list[int] = []

    def step(seed: int) -> torch.Tensor:
        network = substitute_step(
            tmp_path / "target.h5",
            ModelConfig(model="c4", settings={"hidden": 8}),
            data,
            tmp_path / "substitute.h5",
            Context(resume=True, progress=lambda done, total, text: told.append(done)),
            how=SubstituteConfig(rounds=2, epochs=1, batch_size=4, seed=seed),
        )
        with torch.no_grad():
            logits: torch.Tensor = network(images)
        return logits

    first = step(0)
    assert told == [1, 2]
    assert torch.equal(step(0), first)
    assert told == [1, 2]
    with pytest.raises(ConfigError, match="other settings"):
        step(1)


def _row(system: str, attack: str, predicted: list[int], moved: float) -> Judged:
    said = np.array(predicted, np.int32)
    return Judged(
        description={
            "system": system,
            "attack": attack,
            "key": attack,
            "spec": "",
            "norm": "none" if attack == "clean" else "Linf",
            "epsilon": None if attack == "clean" else 0.3,
            "threat_model": "black-box-substitute",
            "status": "ok",
        },
        predicted=said,
        moved=np.full(len(said), moved),
        sample_images=np.zeros((1, 1, 2, 2), np.float32),
    )


def _results() -> tuple[RobustnessTable, np.ndarray]:
    """Four images of two attributes; the third is wrong anyway and was not attacked."""
    labels = np.array([0, 1, 2, 3], np.int32)
    rows = [
        _row("No defense", "clean", [0, 1, 0, 3], 0.0),
        _row("No defense", "FGSM 0.3", [1, 1, -2, 0], 0.2),
    ]
    return make_table(rows, labels, provenance={}, note=""), labels.astype(np.int64)


def test_each_attribute_is_counted_by_hand(tmp_path: Path) -> None:
    table, labels = _results()
    answers, scores = Answers({}), Scores()
    answers.add_("C1", "C4", table)
    scores.add_("C1", table, {"FGSM 0.3": "C4"}, clean_as=clean_of("C4"))
    assert answers.predicted["C1", "C4", "No defense"][0].tolist() == [1, 1, 0, 0]
    job = Job(folder=tmp_path, scale="smoke", dataset="celeba-2", seeds=(0,), context=Context())
    found = _attribute_table(job, plan_for("smoke", "celeba-2"), answers, labels, ("Young", "Smiling"))

    def cell(what: str, column: str) -> float:
        return found.measured[f"C1 / C4: {what}", column].mean

    assert [cell(what, "No attack") for what in ("Young", "Smiling", "mean", "exact match")] == [
        100.0,
        75.0,
        87.5,
        75.0,
    ]
    assert [cell(what, "No defense") for what in ("Young", "Smiling", "mean", "exact match")] == [
        50.0,
        50.0,
        50.0,
        25.0,
    ]
    main = _table(job, plan_for("smoke", "celeba-2"), scores)
    assert main.name == "table6"
    assert main.measured["C1 / C4", "No attack"].values == (75.0,)
    assert main.measured["C1 / C4", "No defense"].values == (25.0,)
    assert main.printed["C1 / C4", "No defense"].value == 16.11
