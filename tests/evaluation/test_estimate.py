"""How long an evaluation will take: nothing here depends on how fast the machine is."""

from pathlib import Path

import pytest
import torch
from quadrants import Quadrants, make_images

from sleepdefense.attacks import parse_attack
from sleepdefense.checkpoint import load_checkpoint, save_checkpoint
from sleepdefense.errors import EvaluationError
from sleepdefense.evaluation import estimate, evaluate_systems
from sleepdefense.evaluation.estimate import PassCost, estimate_costs

DATA = make_images(12, seed=3)
ATTACKS = "FGSM:0.2,L2:BIM(steps=3)"
FORWARD, BACKWARD = 2.0, 3.0
PASS_COST = estimate.pass_cost


@pytest.fixture(autouse=True)
def _slow_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every pass take seconds, by a clock of the test's own."""
    monkeypatch.setattr(estimate, "pass_cost", lambda model, data: PassCost(FORWARD, BACKWARD))


def costs(path: Path | None = None, *, attacks: str = ATTACKS, **changes):
    options = {"resume": path, "checks": False, "batch_size": 5, **changes}
    return estimate_costs({"q": Quadrants().eval()}, DATA, attacks, **options)


def run(path: Path, *, cells: int) -> None:
    """Evaluate in batches of 5, be interrupted after some cells, and pretend that each took 4 seconds."""

    def stop(done: int, total: int, text: str) -> None:
        if done == cells:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate_systems(
            {"q": Quadrants().eval()}, DATA, ATTACKS, checks=False, batch_size=5, resume=path, progress=stop
        )
    for part in path.with_name(path.name + ".parts").iterdir():
        checkpoint = load_checkpoint(part)
        checkpoint.arrays["seconds"] = 4.0 * checkpoint.arrays["done"]
        save_checkpoint(part, checkpoint, force=True)


def test_passes_are_counted_for_every_image() -> None:
    found = costs()
    for cost, name in zip(found, ATTACKS.split(","), strict=True):
        attack = parse_attack(name)
        assert cost.seconds == pytest.approx(12 * (attack.forward * FORWARD + attack.backward * BACKWARD))
        assert cost.rows == ("q, white-box",)
        assert not cost.is_measured


def test_a_file_without_work_changes_nothing(tmp_path: Path) -> None:
    assert costs(tmp_path / "r.h5") == costs()
    assert not list(tmp_path.iterdir())


def test_what_is_finished_tells_how_long_the_rest_takes(tmp_path: Path) -> None:
    path = tmp_path / "r.h5"
    run(path, cells=5)  # three cells of clean images, two of the first attack
    first, second = costs(path)
    assert first.seconds == pytest.approx(2 * 8 / 10)  # two images are left, ten took eight seconds
    assert first.is_measured
    assert second == costs()[1]
    assert costs(path, attacks="L2:BIM(steps=3)") == (second,)


def test_nothing_is_left_of_what_is_finished(tmp_path: Path) -> None:
    path = tmp_path / "r.h5"
    run(path, cells=6)
    assert costs(path)[0].seconds == 0
    evaluate_systems({"q": Quadrants().eval()}, DATA, ATTACKS, checks=False, batch_size=5, resume=path)
    assert [cost.seconds for cost in costs(path)] == [0, 0]
    assert all(cost.is_measured for cost in costs(path))


def test_other_work_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.h5"
    run(path, cells=4)
    with pytest.raises(EvaluationError, match="holds results of other work"):
        costs(path, seed=1)
    evaluate_systems({"q": Quadrants().eval()}, DATA, ATTACKS, checks=False, batch_size=5, resume=path)
    with pytest.raises(EvaluationError, match="holds results of other work"):
        costs(path, attacks="FGSM:0.2")


def test_a_pass_of_a_model_without_gradient_can_be_timed() -> None:
    class Blind(Quadrants):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return super().forward(image).detach()

    cost = PASS_COST(Blind().eval(), DATA)
    assert 0 < cost.forward <= cost.backward
