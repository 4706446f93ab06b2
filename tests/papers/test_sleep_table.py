"""A small network before and after its sleep, in the table that papers share."""

from pathlib import Path

import pytest
import torch

from sleepdefense.checkpoint import save_checkpoint
from sleepdefense.config import SleepSection
from sleepdefense.data import ImageSet
from sleepdefense.models import build_model
from sleepdefense.models.saving import awake_checkpoint
from sleepdefense.papers.sleep_table import (
    SleepImages,
    SleepTrial,
    guard_sentences,
    sleep_sentences,
    sleep_side_by_side,
    sleep_trial,
)
from sleepdefense.pipeline import Context

SMALL = {"denoiser_width": 64, "width": 16, "bottleneck": 8, "latent": 4, "size": 6, "num_classes": 3}
SYSTEMS = ("DIM: before", "DIM: after", "DIM: control shuffled", "DIM: control anti")
SPIKING = "DIM: spiking, 64 steps"


def images(num: int, seed: int) -> ImageSet:
    drawn = torch.rand(num, 1, 6, 6, generator=torch.Generator().manual_seed(seed))
    return ImageSet(name="noise", images=drawn, labels=torch.arange(num) % 3, num_classes=3)


def tried(folder: Path, *, bias: float | None = None) -> SleepTrial:
    """Try a network of random weights, one internal model of which may have a bias that silences it."""
    model = build_model("dim", SMALL, seed=3).eval()
    if bias is not None:
        with torch.no_grad():
            model.get_parameter("encoder.0.bias")[1] = bias
    awake = folder / "dim.h5"
    save_checkpoint(awake, awake_checkpoint(model, provenance={}))
    return sleep_trial(
        "DIM",
        awake,
        SleepImages(asleep=images(48, 0), held_out=images(12, 1), test=images(9, 2)),
        "Linf:FGSM(epsilon=0.1)",
        Context(command="test", resume=True),
        out=folder / "results.h5",
        seed=0,
        section=SleepSection(guard=None, settings={"batch_size": 16}),
    )


@pytest.mark.long
def test_a_sleep_stands_beside_its_controls_and_is_told(tmp_path: Path) -> None:
    trial = tried(tmp_path)
    assert trial.kept == 1.0
    table = sleep_side_by_side([trial, trial], name="sleep", title="two seeds")
    assert table.rows == (*SYSTEMS, SPIKING)
    assert table.columns == ("clean", "FGSM 0.1")
    before, after = (table.measured[name, "clean"] for name in SYSTEMS[:2])
    assert (before.n, len(before.values), before.status) == (9, 2, "")
    gained = after.mean - before.mean
    assert after.status.startswith(f"{gained:+.1f} [")  # points, with their interval
    assert table.measured[SPIKING, "clean"].n == 9
    said = sleep_sentences([trial])
    assert [sentence.partition(":")[0] for sentence in said] == [
        "DIM, after",
        "DIM, control shuffled",
        "DIM, control anti",
    ]
    assert guard_sentences([trial]) == ("DIM: of the sleep the guard kept 100 %.",)
    assert tried(tmp_path).table.rows == trial.table.rows  # from the files


def test_a_network_that_cannot_sleep_says_why(tmp_path: Path) -> None:
    trial = tried(tmp_path, bias=-100.0)
    assert "internal.1" in trial.trouble
    table = sleep_side_by_side([trial], name="sleep", title="")
    assert table.measured["DIM: before", "FGSM 0.1"].n == 9
    assert "cannot sleep" in str(table.measured["DIM: after", "clean"])
    assert sleep_sentences([trial]) == ()
    assert trial.trouble.endswith("longer.")
    assert guard_sentences([trial]) == (f"DIM: {trial.trouble}",)
