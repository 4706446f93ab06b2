"""A made-up run: as a record, as a page, and as a folder."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from report_samples import LAYERS, paper_table, small_diary, small_rasters, small_record, small_report

from sleepdefense.checkpoint import Checkpoint, save_checkpoint
from sleepdefense.evaluation.files import save_results
from sleepdefense.models import build_model
from sleepdefense.models.saving import awake_checkpoint
from sleepdefense.report import RunRecord, render_page


@pytest.fixture(scope="session")
def record() -> RunRecord:
    return small_record()


@pytest.fixture(scope="session")
def page(record: RunRecord) -> str:
    return render_page(record)


@pytest.fixture
def run_folder(tmp_path: Path, finished_run: Path) -> Path:
    """A folder as a run leaves it, with networks of a few units, for one test to spoil."""
    return shutil.copytree(finished_run, tmp_path / "run")


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    origin = {"command": "sleepdefense run --out run", "seed": 3, "versions": {"torch": "2.13.0"}}
    (folder / "config.json").write_text(json.dumps({"name": "tiny", "seed": 3}))
    for name, model, settings, seed in (
        ("classifier", "c4", {"hidden": 4, "size": 8}, 0),
        ("awake", "fc-vae", {"hidden": 4, "latent": 2, "size": 8}, 1),
        ("woken", "fc-vae", {"hidden": 4, "latent": 2, "size": 8}, 2),
    ):
        built = build_model(model, settings, seed=seed)
        save_checkpoint(folder / f"{name}.h5", awake_checkpoint(built, provenance=origin))
    save_results(folder / "results.h5", paper_table())
    (folder / "conversion.json").write_text(json.dumps(asdict(small_report())))

    def save(name: str, kind: str, arrays: dict[str, NDArray[np.generic]], **settings: object) -> None:
        content = Checkpoint(
            kind=kind,
            arrays=arrays,
            settings=settings,
            provenance={"config": {"rho": 0.1}, "measures": ["ELBO"]},
        )
        save_checkpoint(folder / f"{name}.h5", content)

    clean = np.linspace(0, 1, 2 * 64, dtype=np.float32).reshape(2, 1, 8, 8)
    samples = {f"FGSM_0.3/{what}": clean for what in ("attacked", "purified", "purified_after")}
    save("samples", "results", {"clean": clean, "label": np.array([0, 1]), **samples})
    rasters = small_rasters()
    save("rasters", "results", {f"{w}/{n}": train for w in rasters for n, train in rasters[w].items()})
    weight = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)
    names = ("encoder.3", "encoder.1", "encoder.10")
    both = {f"origin/{name}": weight for name in names} | {f"weight/{name}": weight * 2 for name in names}
    save("spiking", "spiking", both)
    save("slept", "spiking", both)
    diary = small_diary()
    state = {
        "stages": list(LAYERS),
        "finished": [LAYERS[0]],
        "strengths": diary.strengths,
        "thresholds": {},
    }
    save("sleep", "sleep", diary.arrays(), **state, diary=diary.facts())
    save("nap1.sleep", "sleep", diary.arrays(), **state, diary=None)
    save("awake.training", "training", {}, losses=[2.0, 1.0], training={"model": "fc-vae"})
    return folder
