"""What the networks of the paper on saturating networks are trained on, batch by batch."""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import cross_entropy
from typing_extensions import override

from sleepdefense.errors import ConfigError
from sleepdefense.models.base import AbstractAwakeModel, AbstractClassifier
from sleepdefense.models.layer_activity import LayerActivity, logits_and_layers
from sleepdefense.shapes import Images, Labels, Logits
from sleepdefense.training.annealing import Annealing
from sleepdefense.training.complementary import complement_of

PENALTIES = ("saturation", "contraction")
READOUTS = ("as hidden", "identity", "none")


@dataclass(frozen=True, slots=True, kw_only=True)
class SaturationConfig:
    """Which penalty, how strong, and when it has gone too far.

    Attributes:
        annealing: How lambda grows.
        penalty: "saturation" (Eq. 8), or "contraction" (Eq. 5) for comparison.
        readout: Complementary function of the last layer: that of the hidden units ("as hidden"), f(z) = z
            ("identity", the paper's convolutional network), or none. The contractive penalty leaves it.
        tolerance: Largest share of held-out accuracy, in [0, 1], that saturation may cost. What is returned
            is the network of the last epoch within it.
        patience: Epochs beyond the tolerance, one after the other, after which the training has diverged and
            ends, >= 1.

    Raises:
        ConfigError: A setting is out of range.
    """

    annealing: Annealing = field(default_factory=lambda: Annealing(maximum=0.1))
    penalty: str = "saturation"
    readout: str = "as hidden"
    tolerance: float = 0.01
    patience: int = 3

    def __post_init__(self) -> None:
        for name, choices in (("penalty", PENALTIES), ("readout", READOUTS)):
            if getattr(self, name) not in choices:
                raise ConfigError(
                    f"saturation.{name} must be one of {', '.join(choices)}, got '{getattr(self, name)}'"
                )
        if not 0 <= self.tolerance <= 1:
            raise ConfigError(f"saturation.tolerance must be in [0, 1], got {self.tolerance}")
        if self.patience < 1:
            raise ConfigError(f"saturation.patience must be >= 1, got {self.patience}")


def saturation_penalty(
    layers: tuple[LayerActivity, ...], *, readout: str = "as hidden"
) -> Float[Tensor, " batch"]:
    """Return how far the units of all layers are from saturation, for each image.

        sum over l = 1 ... D and i = 1 ... N_l of phi_c(h_i^l)

    Args:
        layers: What `layer_activity` gives, the readout last.
        readout: As in `SaturationConfig`.

    Returns:
        One number for each image, (batch,).

    Raises:
        ConfigError: A kind of units has no complementary function.

    Source:
        Nayebi and Ganguli 2017, Eq. 8, without lambda.
    """
    *hidden, last = layers
    terms = [complement_of(layer.unit)(layer.drive).flatten(1).sum(1) for layer in hidden]
    if readout != "none":
        unit = "identity" if readout == "identity" else (hidden[-1] if hidden else last).unit
        terms.append(complement_of(unit)(last.drive).flatten(1).sum(1))
    return torch.stack(terms).sum(0)


def contractive_penalty(
    model: AbstractClassifier, layers: tuple[LayerActivity, ...]
) -> Float[Tensor, " batch"]:
    """Return the summed Frobenius norms of the Jacobians between the drives of neighbouring layers.

        sum over l = 2 ... D of ||dh^l / dh^(l-1)||_F,    dh^l / dh^(l-1) = W^l diag(phi'(h^(l-1)))

    so that ||.||_F^2 = sum over j of phi'(h_j^(l-1))^2 sum over i of (W_ij^l)^2, which costs no more than the
    forward pass. For l = 1 the Jacobian is W^1 itself, the same for all images; it is left out.

    Args:
        model: A network whose maps are all linear layers.
        layers: Its layers, from `layer_activity`.

    Returns:
        One number for each image, (batch,).

    Raises:
        ConfigError: A layer is no linear map, or its units have no slope here.

    Source:
        Nayebi and Ganguli 2017, Eq. 5, after Gu and Rigazio 2015; the sum after Rifai et al. 2011.
    """
    weights = dict(model.named_parameters())
    terms = []
    for before, after in pairwise(layers):
        weight = weights.get(f"{after.name}.weight")
        if weight is None or weight.ndim != 2 or before.unit not in _SLOPES:
            raise ConfigError(
                f"the contractive penalty needs linear maps behind {' or '.join(_SLOPES)} units: layer "
                f"'{after.name}' is none, or '{before.name}' has {before.unit} units"
            )
        slopes = _slope(before)
        squares = slopes.square() @ weight.square().sum(0)
        terms.append((squares + _NO_ROOT_OF_ZERO).sqrt())
    return torch.stack(terms).sum(0)


_NO_ROOT_OF_ZERO = 1e-24
_SLOPES = ("sigmoid", "tanh", "relu", "identity")


def _slope(layer: LayerActivity) -> Tensor:
    """Return phi'(h), differentiable in h."""
    if layer.unit == "sigmoid":
        return layer.activity * (1 - layer.activity)
    if layer.unit == "tanh":
        return 1 - layer.activity.square()
    return (layer.drive > 0).to(layer.drive.dtype) if layer.unit == "relu" else torch.ones_like(layer.drive)


class SaturatingLoss(AbstractAwakeModel):
    """A classifier with a penalty whose weight grows from batch to batch.

        C(F(x), y) + lambda(t) * penalty,    the mean over the images of a batch

    The number t of the batch is a buffer, so that a state in a file knows where the annealing stands.

    Source:
        Nayebi and Ganguli 2017, Eq. 8 (or 5) and section 4.
    """

    name: ClassVar[str] = "saturating"
    batch_number: Tensor

    def __init__(
        self, classifier: AbstractClassifier, options: SaturationConfig, *, batches_per_epoch: int
    ) -> None:
        super().__init__(dict(classifier.settings))
        self.classifier = classifier
        self.options = options
        self.batches_per_epoch = batches_per_epoch
        self.register_buffer("batch_number", torch.zeros((), dtype=torch.int64))

    @override
    def forward(self, image: Images) -> Logits:
        """Return the logits of the classifier, (batch, class)."""
        logits: Tensor = self.classifier(image)
        return logits

    @property
    def weight(self) -> float:
        """Lambda for the next batch."""
        return self.options.annealing.weight(int(self.batch_number), batches_per_epoch=self.batches_per_epoch)

    @override
    def loss(
        self, noisy: Images, clean: Images, label: Labels, *, generator: torch.Generator
    ) -> Float[Tensor, ""]:
        """Return the mean loss, and in training count the batch."""
        weight = self.weight
        if self.training:
            self.batch_number += 1
        if weight == 0:
            return self.classifier.loss(noisy, clean, label, generator=generator)
        logits, layers = logits_and_layers(self.classifier, noisy)
        if self.options.penalty == "saturation":
            penalty = saturation_penalty(layers, readout=self.options.readout)
        else:
            penalty = contractive_penalty(self.classifier, layers)
        return cross_entropy(logits.float(), label) + weight * penalty.mean()
