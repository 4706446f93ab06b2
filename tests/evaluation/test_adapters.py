import numpy as np
import pytest
import torch
from foolbox.models.pytorch import PyTorchModel
from quadrants import Quadrants
from torch import nn
from unchecked import evaluate

from sleepdefense.data.image_set import ImageSet
from sleepdefense.errors import ConfigError, EvaluationError
from sleepdefense.evaluation.adapters import from_art, from_foolbox, from_numpy


class ArtClassifier:
    """What ART's PyTorchClassifier offers, on intensities of its own."""

    def __init__(self, network: nn.Module, clip_values: tuple[float, float] | None, softmax: bool = False):
        self.network = network
        self.clip_values = clip_values
        self.softmax = softmax
        self.asked = 0

    def _logits(self, x):
        lower, upper = self.clip_values or (0.0, 1.0)
        logits = self.network((x - lower) / (upper - lower))
        return logits.softmax(1) if self.softmax else logits

    def predict(self, x):
        assert isinstance(x, np.ndarray)
        assert x.dtype == np.float32
        self.asked += 1
        with torch.no_grad():
            return self._logits(torch.from_numpy(x)).numpy()

    def class_gradient(self, x):
        leaf = torch.from_numpy(x).requires_grad_(True)
        logits = self._logits(leaf)
        rows = [
            torch.autograd.grad(logits[:, column].sum(), leaf, retain_graph=True)[0] for column in range(4)
        ]
        return torch.stack(rows, 1).numpy()


def accuracies(model, data: ImageSet, attacks: str) -> dict[str, tuple[float, str]]:
    table = evaluate(model, data, attacks)
    return {row.attack: (row.accuracy, row.status) for row in table.rows}


def same_gradient(model, network: nn.Module, images: torch.Tensor) -> None:
    weight = torch.arange(1.0, 5.0)
    grads = []
    for each in (model, network):
        leaf = images.clone().requires_grad_(True)
        grads.append(torch.autograd.grad((each(leaf) * weight).square().sum(), leaf)[0])
    torch.testing.assert_close(grads[0], grads[1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("bounds", [(0, 1), (0, 255), (-1, 1)])
def test_a_foolbox_model_is_shown_what_it_expects(bounds, classifier, data) -> None:
    lower, upper = bounds
    network = nn.Sequential(Rescaled(lower, upper), classifier).eval()
    preprocessing = {"mean": 0.25, "std": 2.0}
    inverse = nn.Sequential(Undo(), network).eval()
    model = from_foolbox(PyTorchModel(inverse, bounds=bounds, device="cpu", preprocessing=preprocessing))
    torch.testing.assert_close(model(data.images), classifier(data.images), rtol=1e-4, atol=1e-4)
    same_gradient(model, classifier, data.images)


class Rescaled(nn.Module):
    """Bring intensities from [lower, upper] to [0, 1]."""

    def __init__(self, lower: float, upper: float) -> None:
        super().__init__()
        self.lower, self.upper = lower, upper

    def forward(self, x):
        return (x - self.lower) / (self.upper - self.lower)


class Undo(nn.Module):
    """Take a preprocessing back."""

    def forward(self, x):
        return x * 2.0 + 0.25


def test_a_foolbox_model_is_attacked_like_the_network_in_it(classifier, data) -> None:
    model = from_foolbox(PyTorchModel(classifier, bounds=(0, 1), device="cpu"))
    attacks = "FGSM:0.2,PGD:0.2,GaussianNoise"
    assert accuracies(model, data, attacks) == accuracies(classifier, data, attacks)


@pytest.mark.parametrize("clip_values", [None, (0.0, 255.0)])
def test_an_art_classifier_is_attacked_like_the_network_in_it(clip_values, classifier, data) -> None:
    model = from_art(ArtClassifier(classifier, clip_values))
    torch.testing.assert_close(model(data.images), classifier(data.images), rtol=1e-4, atol=1e-4)
    same_gradient(model, classifier, data.images)
    attacks = "FGSM:0.2,PGD:0.2"
    assert accuracies(model, data, attacks) == accuracies(classifier, data, attacks)


def test_probabilities_are_refused(classifier, data) -> None:
    model = from_art(ArtClassifier(classifier, None, softmax=True))
    with pytest.raises(EvaluationError, match="gives probabilities, not logits"):
        evaluate(model, data, "FGSM")


def test_a_function_without_gradient_has_rows_that_say_so(classifier, data) -> None:
    art = ArtClassifier(classifier, None)
    found = accuracies(from_numpy(art.predict), data, "PGD:0.2,GaussianNoise")
    pgd, noise = (found[name] for name in found if name != "clean")
    assert pgd[1].startswith("error: the model's logits have no gradient")
    assert noise in accuracies(classifier, data, "GaussianNoise").values()
    assert noise[1] == "ok"
    assert art.asked > 0


def test_wrong_objects_are_named(classifier) -> None:
    with pytest.raises(ConfigError, match="expected a foolbox model: callable, with 'bounds'; got a Quadr"):
        from_foolbox(Quadrants())
    with pytest.raises(ConfigError, match="expected an ART classifier, with 'predict'; got a Quadrants"):
        from_art(classifier)
    with pytest.raises(ConfigError, match="'clip_values' must be two numbers"):
        from_art(ArtClassifier(classifier, (np.zeros(3), np.ones(3))))
    with pytest.raises(ConfigError, match="the smaller one first"):
        from_art(ArtClassifier(classifier, (1.0, 0.0)))


def test_wrong_answers_are_named(classifier, data) -> None:
    with pytest.raises(EvaluationError, match="the function gave a list: expected a NumPy array"):
        from_numpy(lambda images: [0.0])(data.images)
    art = ArtClassifier(classifier, None)
    art.class_gradient = lambda x: np.zeros((len(x), 3, 1, 8, 8), np.float32)
    leaf = data.images.clone().requires_grad_(True)
    with pytest.raises(
        EvaluationError, match=r"gave the shape \(12, 3, 1, 8, 8\): expected \(12, 4, 1, 8, 8\)"
    ):
        from_art(art)(leaf).sum().backward()


def test_such_a_model_cannot_be_resumed(classifier, data, tmp_path) -> None:
    model = from_numpy(ArtClassifier(classifier, None).predict)
    with pytest.raises(EvaluationError, match="only a torch module can be told from another one"):
        evaluate(model, data, "GaussianNoise", resume=tmp_path / "results.h5")
