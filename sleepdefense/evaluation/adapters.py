"""Models of other people's tools, as callables that `evaluate` takes.

Nothing of those tools is imported: what is asked of a model is named in each function. The content of a
callable cannot be seen, so such a model cannot be evaluated with `resume`.
"""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sleepdefense.errors import ConfigError, EvaluationError
from sleepdefense.evaluation.systems import Model
from sleepdefense.shapes import Images, Logits

Predict = Callable[[NDArray[np.float32]], Any]
"""From images to logits, NumPy to NumPy."""


def from_foolbox(model: Any) -> Model:
    """Evaluate a model of foolbox, its preprocessing and bounds included.

    Args:
        model: A `foolbox.PyTorchModel`, or what else is called with a torch tensor and has `bounds`, the
            smallest and the largest intensity that it expects.

    Returns:
        A callable from images in [0, 1] to logits; gradients go through.

    Raises:
        ConfigError: The object is no such model.

    >>> class Model:
    ...     bounds = (0, 255)
    ...
    ...     def __call__(self, images):
    ...         return images.flatten(1)
    >>> from_foolbox(Model())(torch.tensor([[[[0.0, 1.0]]]]))
    tensor([[  0., 255.]])
    """
    if not callable(model) or not hasattr(model, "bounds"):
        raise ConfigError(
            f"expected a foolbox model: callable, with 'bounds'; got {_described(model)}. A torch module "
            "needs no adapter"
        )
    lower, upper = _bounds("bounds", model.bounds)

    def logits(images: Images) -> Logits:
        device = getattr(model, "device", images.device)
        found = model(_scaled(images, lower, upper).to(device))
        if not isinstance(found, Tensor):
            raise EvaluationError(f"the foolbox model gave {_described(found)}: expected a torch tensor")
        return found.to(images.device)

    return logits


def from_art(classifier: Any) -> Model:
    """Evaluate a classifier of the Adversarial Robustness Toolbox, its preprocessing and defences included.

    Gradients are those of its `class_gradient`, one for each class, so that a backward pass costs as many.

    Args:
        classifier: An `art.estimators.classification.PyTorchClassifier`, or what else has `predict(x)` and,
            for gradient attacks, `class_gradient(x)` of the shape (batch, class, channel, height, width).
            Its `clip_values`, if any, say which intensities it expects. It must give logits: `evaluate`
            refuses probabilities.

    Returns:
        A callable from images in [0, 1] to logits.

    Raises:
        ConfigError: The object is no such classifier.
    """
    if not callable(getattr(classifier, "predict", None)):
        raise ConfigError(f"expected an ART classifier, with 'predict'; got {_described(classifier)}")
    clip_values = getattr(classifier, "clip_values", None)
    lower, upper = (0.0, 1.0) if clip_values is None else _bounds("clip_values", clip_values)
    class_gradient = getattr(classifier, "class_gradient", None)

    def logits(images: Images) -> Logits:
        scaled = _scaled(images, lower, upper)
        if class_gradient is None:
            return _predicted(classifier.predict, scaled)
        apply: Callable[..., Tensor] = cast(Any, _WithClassGradient).apply
        return apply(scaled, classifier.predict, class_gradient)

    return logits


def from_numpy(predict: Predict) -> Model:
    """Evaluate a function from NumPy images in [0, 1] to NumPy logits.

    It has no gradient: attacks that need one become rows that say so, attacks that ask for decisions work.

    Args:
        predict: From float32 images, (batch, channel, height, width), to logits, (batch, class).

    Returns:
        A callable from images to logits.

    Raises:
        ConfigError: `predict` cannot be called.

    >>> from_numpy(lambda images: images.reshape(len(images), -1))(torch.tensor([[[[0.0, 1.0]]]]))
    tensor([[0., 1.]])
    """
    if not callable(predict):
        raise ConfigError(f"expected a function from images to logits, got {_described(predict)}")
    return lambda images: _predicted(predict, images)


class _WithClassGradient(torch.autograd.Function):
    """Logits of one NumPy function, and their gradient from another."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, predict: Predict, class_gradient: Predict) -> Tensor:
        ctx.images, ctx.class_gradient = images.detach(), class_gradient
        return _predicted(predict, images)

    @staticmethod
    def backward(ctx: Any, *logits_gradient: Tensor) -> tuple[Tensor, None, None]:
        images: Tensor = ctx.images
        with torch.enable_grad():  # which is off in here, and the classifier may be one of torch
            jacobian = np.asarray(ctx.class_gradient(_to_numpy(images)))
        expected = (*logits_gradient[0].shape, *images.shape[1:])
        if jacobian.shape != expected:
            raise EvaluationError(f"'class_gradient' gave the shape {jacobian.shape}: expected {expected}")
        by_class = torch.from_numpy(jacobian).to(images)
        return torch.einsum("bc,bc...->b...", logits_gradient[0].to(images), by_class), None, None


def _predicted(predict: Predict, images: Tensor) -> Tensor:
    """Return what a NumPy function makes of torch images."""
    found = predict(_to_numpy(images))
    if not isinstance(found, np.ndarray):
        raise EvaluationError(f"the function gave {_described(found)}: expected a NumPy array of logits")
    return torch.from_numpy(np.array(found, dtype=np.float32)).to(images.device)


def _to_numpy(images: Tensor) -> NDArray[np.float32]:
    values: NDArray[np.float32] = images.detach().cpu().to(torch.float32).numpy()
    return np.ascontiguousarray(values)


def _scaled(images: Tensor, lower: float, upper: float) -> Tensor:
    """Bring intensities from [0, 1] to [lower, upper]."""
    return images if (lower, upper) == (0.0, 1.0) else images * (upper - lower) + lower


def _bounds(name: str, bounds: Any) -> tuple[float, float]:
    """Return two numbers, the first below the second."""
    try:
        lower, upper = (float(np.asarray(bound).item()) for bound in bounds)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"'{name}' must be two numbers, got {bounds!r}") from error
    if not lower < upper:
        raise ConfigError(f"'{name}' must be two numbers, the smaller one first, got {bounds!r}")
    return lower, upper


def _described(thing: object) -> str:
    return f"a {type(thing).__name__}"
