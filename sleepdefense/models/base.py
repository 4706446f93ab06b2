"""What every awake network offers: a loss to train on, and a forward pass that can be traced."""

import abc
import typing
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from typing_extensions import override

from sleepdefense.shapes import Images, Labels, Logits

Method = TypeVar("Method", bound=Callable[..., Any])


def traceable(method: Method) -> Method:
    """Let `torch.fx` call a method with its stand-ins for tensors.

    Conversion finds the stages of a network by calling its methods with `torch.fx.Proxy` objects, which
    no shape annotation describes. So the checker of shapes, which runs in the tests only, passes this
    method over; mypy reads its annotations all the same.
    """
    return typing.no_type_check(method)


class AbstractAwakeModel(nn.Module, abc.ABC):
    """A network as it is when awake: it can be trained, saved, attacked and converted.

    Attributes:
        name: What the command line and the checkpoints call the class, such as "defense-vae".
        settings: The keywords of the constructor, in full and fit for JSON: `build_model(name, settings)`
            makes a network of the same architecture.
        adam_betas: How fast Adam forgets, in a training of this class.
    """

    name: ClassVar[str]
    adam_betas: ClassVar[tuple[float, float]] = (0.9, 0.999)

    def __init__(self, settings: dict[str, int | float]) -> None:
        super().__init__()
        self.settings = settings

    @abc.abstractmethod
    def forward(self, image: Images) -> Tensor:
        """Return what the network makes of a batch of images; without randomness in evaluation mode."""

    @abc.abstractmethod
    def loss(
        self, noisy: Images, clean: Images, label: Labels, *, generator: torch.Generator
    ) -> Float[Tensor, ""]:
        """Return the loss to minimise, its mean over the images.

        Args:
            noisy: What the network sees, (batch, channel, height, width), in [0, 1].
            clean: The image each one was made from, shaped alike, in [0, 1].
            label: Class of each image, (batch,).
            generator: Draws what the loss needs at random. Dropout, a part of the layers, draws from the
                global state of torch.
        """

    def check_data(self, images: Images, labels: Labels) -> None:
        """Refuse images that this network cannot learn from; by default none are refused.

        Args:
            images: All training images, (image, channel, height, width).
            labels: Class of each, (image,).

        Raises:
            ConfigError: They do not fit; the message says what was expected.
        """


@runtime_checkable
class ReadsOutputs(Protocol):
    """A network that is converted by its `outputs`, and can tell what several of them say of an image."""

    def logits_from(self, image: Images, outputs: Mapping[str, Tensor]) -> Logits:
        """Return the logits, (batch, class), that follow from results under the names of `outputs`."""
        ...


class AbstractPurifier(AbstractAwakeModel):
    """A network that maps a disturbed image to the clean image behind it.

    Attributes:
        learns_from_attacks: Whether its loss looks at the disturbed images, so that attacks must be made
            first.
    """

    learns_from_attacks: ClassVar[bool] = True

    @override
    @abc.abstractmethod
    def forward(self, image: Images) -> Images:
        """Return the purified images, (batch, channel, height, width), in [0, 1]."""

    @abc.abstractmethod
    def outputs(self, image: Images) -> dict[str, Tensor]:
        """Return all results by name: "image" as in `forward`, "mean" and "log_variance" of the latent.

        Its spiking twin computes the same names.
        """

    @abc.abstractmethod
    def elbo(self, outputs: dict[str, Tensor], clean: Images) -> Float[Tensor, " batch"]:
        """Return the evidence lower bound of each clean image, given such outputs; higher is better."""


class AbstractClassifier(AbstractAwakeModel):
    """A network that maps an image to one score for each class, trained by cross-entropy."""

    @override
    @abc.abstractmethod
    def forward(self, image: Images) -> Logits:
        """Return the logits, (batch, class): never probabilities."""

    @override
    def loss(
        self, noisy: Images, clean: Images, label: Labels, *, generator: torch.Generator
    ) -> Float[Tensor, ""]:
        """Return the mean cross-entropy of the logits of `noisy`; `clean` and `generator` play no part."""
        logits: Tensor = self(noisy)
        return cross_entropy(logits.float(), label)
