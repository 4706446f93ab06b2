import math

import numpy as np
import pytest
import torch
from quadrants import Quadrants, make_images
from torch import nn
from unchecked import evaluate, evaluate_systems

from sleepdefense.attacks import parse_attack, perturb
from sleepdefense.data.image_set import ImageSet
from sleepdefense.errors import CheckpointError, ConfigError, DataError, EvaluationError, UnfinishedError

ATTACKS = "FGSM:0.1,GaussianNoise,CW(steps=5)"


class InterruptError(Exception):
    """Stands for a process that is killed."""


def predictions(model, images):
    with torch.no_grad():
        return model(images).argmax(1).numpy()


def columns(table):
    return [(row.system, row.attack, row.threat_model) for row in table.rows]


def test_a_classifier_has_one_threat_model(classifier, data):
    table = evaluate(classifier, data, ATTACKS, name="C")
    assert columns(table) == [
        ("C", "clean", "none"),
        ("C", "FGSM 0.1", "white-box"),
        ("C", "GaussianNoise 0.3", "none"),
        ("C", "CW (steps=5)", "white-box"),
    ]
    assert all(row.status == "ok" and row.n == 12 for row in table.rows)
    assert table.row("C", "clean").accuracy == 1.0


def test_rows_hold_what_can_be_computed_by_hand(purified, classifier, data):
    table = evaluate(purified, data, "FGSM:0.1")
    assert columns(table)[1:] == [("model", "FGSM 0.1", "oblivious"), ("model", "FGSM 0.1", "white-box")]
    clean_is_right = predictions(purified, data.images) == data.labels.numpy()
    for number, surface in ((1, classifier), (2, purified)):
        spec = parse_attack("FGSM:0.1")
        attacked = perturb(spec, surface, data.images, data.labels, index=torch.arange(12), seed=0)
        predicted = predictions(purified, attacked)
        is_right = predicted == data.labels.numpy()
        moved = (attacked.double() - data.images.double()).abs().flatten(1).amax(1).numpy()
        expected = np.where(clean_is_right, np.where(is_right, math.inf, moved), 0.0)
        assert np.array_equal(table.predicted[number], np.where(clean_is_right, predicted, -2))
        assert np.array_equal(table.distance[number], expected)
        assert table.rows[number].correct == (is_right & clean_is_right).sum()
        assert table.rows[number].num_attacked == clean_is_right.sum()
        assert np.array_equal(table.sample_images[number], attacked[:8].numpy())
    assert np.array_equal(table.labels, data.labels.numpy())
    assert np.array_equal(table.sample_images[0], data.images[:8].numpy())


def test_images_that_are_wrong_anyway_have_distance_zero(classifier, data):
    mislabelled = ImageSet(name="wrong", images=data.images, labels=(data.labels + 1) % 4, num_classes=4)
    table = evaluate(classifier, mislabelled, "GaussianBlur")
    assert table.rows[0].accuracy == 0.0
    assert table.distance[1].tolist() == [0.0] * 12
    assert table.rows[1].median_distance == 0.0


class Counting(nn.Module):
    """Counts the images that were shown while a gradient was asked for."""

    def __init__(self, model):
        super().__init__()
        self.model = model
        self.attacked = 0

    def forward(self, image):
        self.attacked += len(image) * image.requires_grad
        return self.model(image)


def test_systems_that_share_a_classifier_share_its_attacks(data, purified):
    shared = Counting(purified.classifier)
    before, after = type(purified)(shared).eval(), type(purified)(shared).eval()
    systems = {"no defence": shared, "before sleep": before, "after sleep": after}
    table = evaluate_systems(systems, data, "FGSM:0.1,SaltAndPepper")
    assert shared.attacked == 3 * len(data)  # alone, and inside each of the two purified systems
    assert columns(table) == [
        ("no defence", "clean", "none"),
        ("no defence", "FGSM 0.1", "white-box"),
        ("no defence", "SaltAndPepper 0.1", "none"),
        *(
            (system, attack, threat_model)
            for system in ("before sleep", "after sleep")
            for attack, threat_model in (
                ("clean", "none"),
                ("FGSM 0.1", "oblivious"),
                ("FGSM 0.1", "white-box"),
                ("SaltAndPepper 0.1", "none"),
            )
        ),
    ]
    samples = [
        table.sample_images[table.number(*names)]
        for names in (
            ("no defence", "FGSM 0.1"),
            ("before sleep", "FGSM 0.1", "oblivious"),
            ("after sleep", "FGSM 0.1", "oblivious"),
        )
    ]
    assert np.array_equal(samples[0], samples[1])
    assert np.array_equal(samples[0], samples[2])


def test_one_system_or_several_gives_the_same_rows(classifier, purified, data):
    both = evaluate_systems({"a": classifier, "b": purified}, data, ATTACKS)
    alone = evaluate(purified, data, ATTACKS, name="b")
    assert both.rows[4:] == alone.rows


@pytest.mark.parametrize("batch_size", [1, 5, 12, 1000])
def test_the_batch_size_changes_nothing(batch_size, purified, data):
    one = evaluate(purified, data, "RAND+FGSM,SaltAndPepper")
    other = evaluate(purified, data, "RAND+FGSM,SaltAndPepper", batch_size=batch_size)
    assert np.array_equal(one.predicted, other.predicted)
    np.testing.assert_allclose(one.distance, other.distance, atol=1e-6, rtol=0)


def test_progress_counts_to_the_end(purified, data):
    calls = []
    evaluate(purified, data, "FGSM", batch_size=5, progress=lambda *call: calls.append(call))
    assert [call[:2] for call in calls] == [(number, 9) for number in range(1, 10)]
    assert [call[2] for call in calls[::3]] == ["clean", "FGSM 0.3, oblivious", "FGSM 0.3, white-box"]


class Failing(nn.Module):
    """Works on clean images, and raises as soon as a gradient is asked for."""

    def __init__(self, model, error):
        super().__init__()
        self.model, self.error = model, error

    def forward(self, image):
        if image.requires_grad:
            raise self.error
        return self.model(image)


@pytest.mark.parametrize(
    "error",
    [RuntimeError("out\nof memory"), KeyError("x"), ZeroDivisionError(), AssertionError("odd")],
    ids=repr,
)
def test_an_attack_that_raises_is_a_row_and_the_rest_goes_on(error, classifier, data):
    systems = {"bad": Failing(classifier, error), "good": classifier}
    table = evaluate_systems(systems, data, ATTACKS, batch_size=5)
    statuses = [row.status for row in table.rows]
    assert [status.startswith("error: ") for status in statuses] == [False, True, False, True] + [False] * 4
    row = table.rows[1]
    assert (row.n, row.correct, row.lower, row.upper) == (0, 0, 0.0, 1.0)
    assert math.isnan(row.accuracy)
    assert math.isnan(row.median_distance)
    assert set(table.predicted[1].tolist()) == {-1}
    assert np.isnan(table.distance[1]).all()
    assert not table.sample_images[1].any()
    assert "\n" not in row.status


def test_an_interrupt_is_no_row(classifier, data):
    with pytest.raises(UnfinishedError):
        evaluate(Failing(classifier, UnfinishedError("stopped")), data, "FGSM")


class SometimesNaN(nn.Module):
    """Gives NaN for very bright images."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, image):
        logits = self.model(image)
        return torch.where((image.flatten(1).amax(1) > 0.95)[:, None], math.nan, logits)


def test_logits_that_are_not_finite_are_an_error_of_their_row(classifier, data):
    table = evaluate_systems({"bad": SometimesNaN(classifier), "good": classifier}, data, "SaltAndPepper")
    assert table.row("bad", "clean").status == "ok"
    assert (
        table.row("bad", "SaltAndPepper 0.1").status == "error: the logits of 12 of 12 images are not finite"
    )
    assert table.row("good", "SaltAndPepper 0.1").status == "ok"


class Scaled(nn.Module):
    def __init__(self, model, factor):
        super().__init__()
        self.model, self.factor = model, factor

    def forward(self, image):
        return self.factor * self.model(image)


def test_vanished_gradients_are_flagged(classifier, data):
    table = evaluate(Scaled(classifier, 1e5), data, "FGSM,GaussianBlur")
    assert [row.status for row in table.rows] == ["ok", "no gradient: 12 of 12 images", "ok"]
    assert table.rows[1].accuracy == 1.0


def test_models_are_left_as_they_were(data):
    model = Quadrants().train()
    evaluate(model, data, ATTACKS)
    assert model.training
    assert model.drop.training
    assert all(weight.grad is None and weight.requires_grad for weight in model.parameters())


@pytest.mark.parametrize(
    ("wrap", "message"),
    [
        (lambda model: nn.Sequential(model, nn.Softmax(1)), "gives probabilities, not logits"),
        (lambda model: Scaled(model, math.nan), "logits of 12 of 12 images are not finite"),
        (lambda model: nn.Flatten(0), "one row of logits for each image"),
        (lambda model: lambda images: model(images)[:, :3], "knows 3 classes: 'quadrants/test' has 4"),
    ],
    ids=["softmax", "nan", "shape", "classes"],
)
def test_what_gives_no_logits_is_refused_before_work(wrap, message, classifier, data):
    calls = []
    with pytest.raises(EvaluationError, match=f"system 'odd'.*{message}"):
        evaluate(wrap(classifier), data, "FGSM", name="odd", progress=lambda *call: calls.append(call))
    assert calls == []


def test_wrong_data_and_arguments_are_refused_before_work(classifier, data):
    with pytest.raises(DataError, match="expected \\[0, 1\\]"):
        ImageSet(name="x", images=data.images * 2, labels=data.labels, num_classes=4)
    with pytest.raises(ConfigError, match="unknown attack 'XYZ'"):
        evaluate(classifier, data, "FGSM,XYZ")
    with pytest.raises(ConfigError, match="batch_size >= 1 and a system"):
        evaluate(classifier, data, "FGSM", batch_size=0)
    with pytest.raises(ConfigError, match="batch_size >= 1 and a system"):
        evaluate_systems({}, data, "FGSM")


def test_surfaces_must_be_a_mapping(classifier, data):
    classifier.attack_surfaces = lambda: ["white-box"]
    with pytest.raises(EvaluationError, match=r"system 'model': attack_surfaces\(\) must map"):
        evaluate(classifier, data, "FGSM")


def test_a_callable_is_evaluated_like_its_module(classifier, data, tmp_path):
    table = evaluate(lambda images: classifier(images), data, ATTACKS)
    assert table.rows == evaluate(classifier, data, ATTACKS).rows
    with pytest.raises(EvaluationError, match="only a torch module can be told from another one"):
        evaluate(lambda images: classifier(images), data, ATTACKS, resume=tmp_path / "results.h5")


@pytest.mark.parametrize("stop", [1, 3, 8, 12])
def test_a_killed_run_ends_in_the_same_bytes(stop, purified, data, tmp_path):
    attacks = "FGSM:0.1,SaltAndPepper"
    whole, resumed = tmp_path / "whole.h5", tmp_path / "resumed.h5"
    evaluate(purified, data, attacks, batch_size=5, resume=whole)

    def interrupt(done, total, label):
        if done == stop:
            raise InterruptError

    with pytest.raises(InterruptError):
        evaluate(purified, data, attacks, batch_size=5, resume=resumed, progress=interrupt)
    assert not resumed.exists()
    calls = []
    evaluate(
        purified, data, attacks, batch_size=5, resume=resumed, progress=lambda *call: calls.append(call[0])
    )
    assert calls == list(range(stop + 1, 13))
    assert resumed.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "resumed.h5",
        "resumed.json",
        "resumed.timing.json",
        "whole.h5",
        "whole.json",
        "whole.timing.json",
    ]


def test_a_finished_run_is_read(purified, data, tmp_path):
    path = tmp_path / "results.h5"
    table = evaluate(purified, data, "FGSM", resume=path)
    calls = []
    again = evaluate(purified, data, "FGSM", resume=path, progress=lambda *call: calls.append(call))
    assert calls == []
    assert again.rows == table.rows
    assert again.provenance == table.provenance


def test_results_of_other_work_are_refused(purified, classifier, data, tmp_path):
    path = tmp_path / "results.h5"
    evaluate(purified, data, "FGSM", resume=path)
    for arguments, message in (
        ((purified, data, "PGD"), "other attacks"),
        ((purified, make_images(12, seed=1), "FGSM"), "other images"),
        ((classifier, data, "FGSM"), "other systems"),
    ):
        with pytest.raises(EvaluationError, match=f"results of other work \\({message}\\)"):
            evaluate(*arguments, resume=path)
    with pytest.raises(EvaluationError, match="seed 0 instead of 3"):
        evaluate(purified, data, "FGSM", seed=3, resume=path)


def test_unfinished_work_of_another_seed_is_refused(purified, data, tmp_path):
    path = tmp_path / "results.h5"

    def interrupt(done, total, label):
        raise InterruptError

    with pytest.raises(InterruptError):
        evaluate(purified, data, "FGSM", resume=path, progress=interrupt)
    with pytest.raises(EvaluationError, match="seed 0 instead of 1"):
        evaluate(purified, data, "FGSM", resume=path, seed=1)
    part = tmp_path / "results.h5.parts" / "clean.h5"
    part.write_bytes(b"rubbish")
    with pytest.raises(CheckpointError, match=r"clean\.h5"):
        evaluate(purified, data, "FGSM", resume=path)


def test_errors_survive_a_resume(classifier, data, tmp_path):
    model = Failing(classifier, RuntimeError("broken"))
    path = tmp_path / "results.h5"

    def interrupt(done, total, label):
        if done == 4:
            raise InterruptError

    with pytest.raises(InterruptError):
        evaluate(model, data, "FGSM,GaussianNoise", batch_size=6, resume=path, progress=interrupt)
    table = evaluate(model, data, "FGSM,GaussianNoise", batch_size=6, resume=path)
    assert [row.status for row in table.rows] == ["ok", "error: broken", "ok"]
