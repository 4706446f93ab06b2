import math

import numpy as np
import pytest
import torch
from torch import nn
from unchecked import evaluate, evaluate_systems

from sleepdefense.data.image_set import ImageSet
from sleepdefense.errors import ConfigError, UnfinishedError
from sleepdefense.evaluation import load_results
from sleepdefense.evaluation.cells import run_cell
from sleepdefense.evaluation.runner import AbstractRunner

ATTACKS = "FGSM:0.1,GaussianNoise,PGD(epsilon=0.1,steps=3),CW(steps=5)"


class Scrambled(AbstractRunner):
    """Finishes cells in an order of its own, several of them under way at once."""

    def __init__(self, capacity, seed):
        self.capacity = capacity
        self.generator = np.random.default_rng(seed)
        self.cells = []
        self.largest = 0

    def submit(self, key, task, batch):
        self.cells.append((key, task, batch))
        self.largest = max(self.largest, len(self.cells))

    def next(self):
        key, task, batch = self.cells.pop(self.generator.integers(len(self.cells)))
        return key, run_cell(task, batch)

    def close(self):
        self.cells.clear()


def same(one, other):
    assert one.rows == other.rows
    for name in ("predicted", "distance", "sample_images"):
        assert np.array_equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize("cascade", [False, True])
@pytest.mark.parametrize("capacity", [2, 7])
def test_the_order_in_which_cells_finish_changes_nothing(cascade, capacity, purified, classifier, data):
    systems = {"bare": classifier, "behind": purified}
    how = {"batch_size": 5, "cascade": cascade}
    table = evaluate_systems(systems, data, ATTACKS, **how)
    for seed in range(3):
        runner = Scrambled(capacity, seed)
        again = evaluate_systems(systems, data, ATTACKS, runner=runner, **how)
        same(table, again)
        assert again.provenance == table.provenance
        assert 2 <= runner.largest <= capacity


class FailsFrom(nn.Module):
    """Raises, with a text of its own, where a gradient is asked for on one of some images."""

    def __init__(self, model, images):
        super().__init__()
        self.model, self.levels = model, [float(image.mean()) for image in images]

    def forward(self, image):
        level = float(image[0].detach().mean())
        if image.requires_grad and any(math.isclose(level, each) for each in self.levels):
            raise RuntimeError(f"level {level:.4f}")
        return self.model(image)


def test_the_error_of_the_first_batch_is_told(classifier, data):
    model = FailsFrom(classifier, data.images[[5, 10]])
    for seed in range(4):
        table = evaluate(model, data, "FGSM:0.1", batch_size=5, runner=Scrambled(8, seed))
        assert table.rows[1].status == f"error: level {model.levels[0]:.4f}"
        assert set(table.predicted[1].tolist()) == {-1}
        assert table.rows[1].num_attacked == 0


class Shown(nn.Module):
    """Counts the images shown to it."""

    def __init__(self, model):
        super().__init__()
        self.model, self.count = model, 0

    def forward(self, image):
        self.count += len(image)
        return self.model(image)


def test_a_cascade_attacks_what_still_stands(classifier, data):
    attacks = "FGSM:0.1,FGSM:0.08,PGD(epsilon=0.1,steps=2),CW(steps=3)"
    full = evaluate(classifier, data, attacks)
    table = evaluate(classifier, data, attacks, cascade=True, batch_size=5)
    nearest = np.fmin.accumulate(full.distance[1:4])
    down = [0, int((nearest[0] <= 0.0801).sum()), int((nearest[1] <= 0.1001).sum())]
    assert 0 < full.rows[1].correct < len(data)  # else the test says nothing
    # what is down within .1 need not be down within .08: such an image is attacked again
    assert [row.num_attacked for row in table.rows[1:4]] == [12 - count for count in down]
    assert table.rows[4].num_attacked == 12  # another norm
    assert table.rows[3].correct == (nearest[2] > 0.1001).sum()
    for mine, theirs in zip(table.worst_case("all"), full.worst_case("all"), strict=True):
        assert (mine.norm, mine.correct) == (theirs.norm, theirs.correct)


def test_what_is_wrong_anyway_is_not_attacked(classifier, data):
    labels = data.labels.clone()
    labels[[2, 7]] = (labels[[2, 7]] + 1) % 4
    shown = Shown(classifier)
    mixed = ImageSet(name="mixed", images=data.images, labels=labels, num_classes=4)
    table = evaluate(shown, mixed, "FGSM:0.1,SaltAndPepper")
    assert table.distance[1][[2, 7]].tolist() == [0.0, 0.0]
    assert table.predicted[1][[2, 7]].tolist() == [-2, -2]
    assert table.rows[1].num_attacked == 10
    assert table.provenance["costs"][1]["backward"] == 10
    assert torch.equal(torch.from_numpy(table.sample_images[1][2]), data.images[2])
    assert (table.predicted[2] >= 0).all()  # the corruption is judged on all


def test_time_is_up_and_nothing_is_lost(purified, data, tmp_path):
    path, whole = tmp_path / "results.h5", tmp_path / "whole.h5"
    stops = []
    while not path.exists():
        try:
            evaluate(purified, data, "FGSM:0.1,PGD", batch_size=5, resume=path, max_seconds=1e-6)
        except UnfinishedError as error:
            stops.append(str(error))
    assert [f"{done} of 15 batches are finished" in words for done, words in enumerate(stops, 1)] == 14 * [
        True
    ]
    evaluate(purified, data, "FGSM:0.1,PGD", batch_size=5, resume=whole)
    assert path.read_bytes() == whole.read_bytes()
    same(load_results(path), load_results(whole))
    for seconds, resume in ((0.0, path), (-1.0, path), (5.0, None)):
        with pytest.raises(ConfigError, match="max_seconds must be positive and needs a file"):
            evaluate(purified, data, "FGSM", max_seconds=seconds, resume=resume)


def test_costs_are_counted(classifier, data):
    table = evaluate(classifier, data, "PGD(steps=3)")
    clean, pgd = table.provenance["costs"]
    zeros = {"num_attacked": 0, "forward": 0, "backward": 0}
    assert clean == {"attack": "clean", "rows": ["model, none"], **zeros}
    assert pgd["num_attacked"] == 12
    assert pgd["backward"] == 3 * 12
    assert pgd["forward"] >= 3 * 12
