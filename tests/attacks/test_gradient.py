import pytest
import torch
from quadrants import Quadrants
from torch import nn
from torch.testing import assert_close

from sleepdefense.attacks.gradient import GradientWatch, ImageGradient, evaluation_mode, loss_gradient


def test_the_gradient_is_that_of_autograd(classifier, data):
    leaf = data.images.clone().requires_grad_(True)
    nn.functional.cross_entropy(classifier(leaf), data.labels, reduction="sum").backward()
    hidden = ImageGradient(classifier, GradientWatch())
    assert_close(loss_gradient(hidden, data.images, data.labels), leaf.grad)


def test_hidden_models_are_not_parts(classifier):
    hidden = ImageGradient(classifier, GradientWatch())
    assert list(hidden.modules()) == [hidden]
    assert list(hidden.parameters()) == []


def test_images_that_need_no_gradient_get_none(classifier, data):
    logits = ImageGradient(classifier, GradientWatch())(data.images)
    assert not logits.requires_grad
    assert torch.equal(logits, classifier(data.images))


def test_evaluation_mode_ends_even_after_an_error():
    model = Quadrants().train()
    model.norm.eval()

    def fail():
        with evaluation_mode(model):
            assert not any(part.training for part in model.modules())
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert model.training
    assert model.drop.training
    assert not model.norm.training


def test_other_callables_have_no_mode():
    with evaluation_mode(lambda images: images):
        pass
