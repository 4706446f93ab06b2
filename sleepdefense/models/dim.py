"""Denoised internal models: a denoiser, and an autoencoder for each class that answers its class only."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from itertools import pairwise
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from typing_extensions import override

from sleepdefense.errors import ConfigError
from sleepdefense.models.answer_errors import answer_errors
from sleepdefense.models.base import AbstractClassifier, traceable
from sleepdefense.models.binarised import ALPHAS, binarise
from sleepdefense.models.dim_config import DIMConfig
from sleepdefense.models.dim_proxies import IntensityProxy
from sleepdefense.models.stacked import MapOfStack, StackedLinear
from sleepdefense.shapes import Images, Labels, Logits

LEAST_INTENSITY = 1.0
"""The least that an answer is compared with: one white pixel. A black image has no intensity of its own."""

Values = Float[Tensor, "batch pixel"]
Answers = Float[Tensor, "class batch pixel"]


class DIM(AbstractClassifier):
    """Denoise an image, show it to an autoencoder of each class, and see which one answers most.

    The denoiser D and the internal models F_0 .. F_{K-1} learn, each by itself, from clean images x:

        L_D = E ||x - D(x + e)||^2,                                                     (Eq. 1)
        L_i = E ||x I_i(x) - F_i(b (D(x) + e'))||^2,   I_i(x) = 1 if x is of class i, else 0,  (Eq. 2)

    with noise e, e' (uniform, and single pixels that rise or sink by 1) and a brightness b, all drawn anew.
    An image is judged by how much each internal model answers, compared with what it was shown:

        P(i | x) = ||F_i(D(x))||_1 / ||D(x)||_1,   the class is the i with the largest P(i | x).   (Eqs. 3, 4)

    With `binary` (biDIM), images and what the denoiser makes of them are seen in black and white; that plays
    no part in training. The K internal models are computed as one, see `StackedLinear`.

    `forward` gives P(i | x). These are no logits of probabilities: they lie between 0 and little more than 1,
    so a cross-entropy of them never gets far from log K, and attacks had better follow the `proxies`.

    Args:
        settings: Keywords of `DIMConfig`.

    Raises:
        ConfigError: A setting is out of range.

    Source:
        Yang et al., "Denoised Internal Models: a brain-inspired autoencoder against adversarial attacks",
        Eqs. 1-4 and appendix A.1.1. Eq. 2 is printed with an indicator that is 0 in both cases.
    """

    name: ClassVar[str] = "dim"
    switches: ClassVar[Mapping[str, bool]] = {}

    def __init__(self, **settings: Any) -> None:
        config = DIMConfig(**{**self.switches, **settings})
        super().__init__(asdict(config))
        self.config = config
        down = [*pairwise(config.internal_layers)]
        up = [(after, before) for before, after in reversed(down)]
        num, shared = config.num_classes, config.shared_encoder
        denoiser = [*_linears(config.denoiser_layers), *_linears(config.denoiser_layers[::-1])]
        half = len(config.denoiser_layers) - 1
        self.denoiser = (
            nn.Sequential(*_chain(denoiser[:half]), *_chain(denoiser[half:]), nn.Tanh())
            if config.denoiser
            else None
        )
        encoder: list[nn.Module] = (
            [nn.Linear(*sizes) for sizes in down] if shared else _stacks(num, down, shared_input=True)
        )
        decoder = _stacks(num, up, shared_input=shared)
        self.encoder = nn.Sequential(*_chain(encoder))
        self.decoder = nn.Sequential(*_chain(decoder))
        # What follows sees the same weights class by class: it has none of its own.
        own = decoder if shared else [*encoder, *decoder]
        turn = 0 if shared else len(encoder)
        self.internal = nn.ModuleList(
            nn.Sequential(*_chain(maps[:turn]), *_chain(maps[turn:]), nn.Tanh())
            for maps in ([MapOfStack(stack, i) for stack in own] for i in range(num))  # type: ignore[arg-type]
        )
        if config.binary:
            self.threshold = config.threshold
        self.register_forward_pre_hook(_check_shape)

    @override
    @traceable
    def forward(self, image: Images) -> Logits:
        """Return the relative intensity of each internal model's answer, (batch, class)."""
        step = partial(binarise, threshold=self.config.threshold) if self.config.binary else None
        answers, shown = self.answers(image, step)
        return relative_intensities(torch.tanh(answers), shown)

    @traceable
    def answers(
        self, image: Images, step: Callable[[Tensor], Tensor] | None = None
    ) -> tuple[Answers, Values]:
        """Return what the internal models make of a batch, before their tanh, and what they were shown.

        Args:
            image: (batch, channel, height, width), in [0, 1].
            step: What binarises images, or stands for it; None: they are seen as they are.

        Returns:
            (class, batch, pixel), and the denoised images, (batch, pixel).
        """
        shown = self._shown(image, step)
        answers: Tensor = self.decoder(self.encoder(shown))
        return answers, shown

    @torch.no_grad()
    def latents(self, image: Images) -> Float[Tensor, "map batch unit"]:
        """Return each internal model's latent, (class, batch, unit); the only one of a shared encoder."""
        step = partial(binarise, threshold=self.config.threshold) if self.config.binary else None
        latent: Tensor = self.encoder(self._shown(image, step))
        return latent[None] if self.config.shared_encoder else latent

    @traceable
    def outputs(self, image: Images) -> dict[str, Tensor]:
        """Return the denoised images and every answer by name, each (batch, pixel): what is converted.

        The internal models are computed one by one here, layer by layer, so that each can be traced.
        """
        results: dict[str, Tensor] = {}
        seen = image.flatten(1)
        if self.denoiser is not None:
            seen = results["denoised"] = self.denoiser(seen)
        if self.config.shared_encoder:
            seen = self.encoder(seen)
        for number, internal in enumerate(self.internal):
            results[f"answer_{number}"] = internal(seen)
        return results

    def logits_from(self, image: Images, outputs: Mapping[str, Tensor]) -> Logits:
        """Return the relative intensities, (batch, class), of results under the names of `outputs`."""
        answers = torch.stack([outputs[f"answer_{number}"] for number in range(self.config.num_classes)])
        return relative_intensities(answers, outputs.get("denoised", image.flatten(1)))

    @override
    def loss(
        self, noisy: Images, clean: Images, label: Labels, *, generator: torch.Generator
    ) -> Float[Tensor, ""]:
        """Return L_D plus all L_i, summed over pixels, their mean over the images.

        No gradient of an L_i reaches the denoiser, so that each part learns as if it were alone.
        """
        target, seen = clean.flatten(1), noisy.flatten(1)
        total = torch.zeros((), device=clean.device)
        if self.denoiser is not None:
            total = (target - self.denoiser(self._disturbed(seen, generator))).square().sum()
        shown = self.shown_in_training(noisy, generator)
        return total / len(target) + self.internal_errors(shown, target, label).sum()

    @torch.no_grad()
    def shown_in_training(self, image: Images, generator: torch.Generator) -> Values:
        """Return what the internal models see while they learn: b (D(x) + e'), (batch, pixel)."""
        seen = image.flatten(1)
        if self.denoiser is not None:
            seen = self.denoiser(seen)
        darkest = self.config.darkest
        factor = darkest + (1 - darkest) * _uniform((len(seen), 1), generator, seen.device)
        return factor * self._disturbed(seen, generator)

    def internal_errors(self, shown: Values, target: Values, label: Labels) -> Float[Tensor, " class"]:
        """Return the L_i of a batch, (class,).

        Args:
            shown: What the internal models see.
            target: The clean images, (batch, pixel).
            label: Class of each, (batch,).
        """
        drive = self.decoder(self.encoder(shown))
        return answer_errors(drive.float(), target, label)

    @override
    def check_data(self, images: Images, labels: Labels) -> None:
        """Refuse images of another size, and a training without images of one of the classes."""
        _check_shape(self, (images,))
        counts = torch.bincount(labels, minlength=self.config.num_classes)
        missing = [str(number) for number, count in enumerate(counts.tolist()) if count == 0]
        if missing:
            raise ConfigError(
                f"model '{self.name}' has an internal model for each of {self.config.num_classes} classes, "
                f"and the training images have none of class {', '.join(missing)}: it would learn to answer "
                "nothing. Take more images, or set 'num_classes' to what there is"
            )
        if len(counts) > self.config.num_classes:
            raise ConfigError(
                f"model '{self.name}' knows {self.config.num_classes} classes, and the training images have "
                f"{len(counts)}: set 'num_classes'"
            )

    def rebuilt(self, **switches: bool) -> "DIM":
        """Return a network with the same weights and other switches: `rebuilt(binary=True)` is biDIM.

        Raises:
            ConfigError: The weights are not those of such a network.
        """
        settings = {**self.settings, **switches}
        other = DIM(**settings)
        try:
            other.load_state_dict(self.state_dict())
        except RuntimeError as error:
            raise ConfigError(f"{switches} ask for other weights than those of '{self.name}'") from error
        return other.train(self.training)

    def proxies(self) -> dict[str, nn.Module]:
        """Return differentiable networks with the same weights, to be attacked in place of this one.

        All have logits on which a cross-entropy sees the best wrong class rather than the mean of all. One
        drops the tanh of the answers, behind which a white pixel has no gradient. Where images are binarised,
        the thresholds are replaced: by sigmoids, by the identity's gradient, by nothing.
        """
        if not self.config.binary:
            return {"sharp": IntensityProxy(self), "unsquashed": IntensityProxy(self, squashed=False)}
        sigmoids = {f"sigmoid-{alpha:g}": IntensityProxy(self, alpha=alpha) for alpha in ALPHAS}
        return {
            **sigmoids,
            "straight-through": IntensityProxy(self, straight_through=True),
            "not-binarised": IntensityProxy(self),
        }

    @traceable
    def _shown(self, image: Images, step: Callable[[Tensor], Tensor] | None) -> Values:
        """Return what the internal models see, (batch, pixel)."""
        seen = image.flatten(1)
        if step is not None:
            seen = step(seen)
        if self.denoiser is not None:
            seen = self.denoiser(seen)
            if step is not None:
                seen = step(seen)
        return seen

    def _disturbed(self, value: Values, generator: torch.Generator) -> Values:
        """Add both noises."""
        uniform = 2 * _uniform(value.shape, generator, value.device) - 1
        chance = _uniform(value.shape, generator, value.device)
        jump = (chance < self.config.flips).float() - (chance >= 1 - self.config.flips).float()
        return value + self.config.noise * uniform + jump


class BiDIM(DIM):
    """DIM that sees images, and what its denoiser makes of them, in black and white."""

    name: ClassVar[str] = "bidim"
    switches: ClassVar[Mapping[str, bool]] = {"binary": True}


class IM(DIM):
    """The internal models of DIM without its denoiser."""

    name: ClassVar[str] = "im"
    switches: ClassVar[Mapping[str, bool]] = {"denoiser": False}


class SingleIM(DIM):
    """One encoder and a decoder for each class, without a denoiser."""

    name: ClassVar[str] = "single-im"
    switches: ClassVar[Mapping[str, bool]] = {"denoiser": False, "shared_encoder": True}


class DnSingleIM(DIM):
    """A denoiser, one encoder and a decoder for each class."""

    name: ClassVar[str] = "dn-single-im"
    switches: ClassVar[Mapping[str, bool]] = {"shared_encoder": True}


@traceable
def relative_intensities(answers: Answers, shown: Values) -> Logits:
    """Return ||answer||_1 / ||shown||_1, (batch, class): Eq. 3.

    >>> relative_intensities(torch.tensor([[[1.0, -1.0]], [[0.0, 0.5]]]), torch.tensor([[2.0, 2.0]]))
    tensor([[0.5000, 0.1250]])
    """
    intensity = shown.abs().sum(1).clamp_min(LEAST_INTENSITY)
    return (answers.abs().sum(2) / intensity).transpose(0, 1)


def _check_shape(model: nn.Module, images: tuple[Any, ...]) -> None:
    """Refuse images of another size than the network was built for."""
    assert isinstance(model, DIM)
    channels, size = model.config.channels, model.config.size
    if tuple(images[0].shape[1:]) != (channels, size, size):
        raise ConfigError(
            f"model '{model.name}' was built for images of {channels} channel(s) and {size}x{size} pixels, "
            f"got the shape {tuple(images[0].shape)}: enlarge or shrink them, or train with size=..."
        )


def _signature(switches: Mapping[str, bool]) -> inspect.Signature:
    """Return the keywords of `DIMConfig` with the defaults of a member of the family."""
    signature = inspect.signature(DIMConfig)
    return signature.replace(
        parameters=[
            parameter.replace(default=switches.get(name, parameter.default))
            for name, parameter in signature.parameters.items()
        ]
    )


for _member in (DIM, BiDIM, IM, SingleIM, DnSingleIM):
    _member.__signature__ = _signature(_member.switches)  # type: ignore[attr-defined]


def _linears(layers: Sequence[int]) -> list[nn.Module]:
    return [nn.Linear(before, after) for before, after in pairwise(layers)]


def _stacks(num: int, sizes: Sequence[tuple[int, int]], *, shared_input: bool) -> list[nn.Module]:
    return [
        StackedLinear(num, before, after, shared_input=shared_input and number == 0)
        for number, (before, after) in enumerate(sizes)
    ]


def _chain(maps: Sequence[nn.Module]) -> list[nn.Module]:
    """Put ReLUs between maps."""
    layers: list[nn.Module] = []
    for layer in maps:
        layers += [layer, nn.ReLU()]
    return layers[:-1]


def _uniform(shape: Sequence[int], generator: torch.Generator, device: torch.device) -> Tensor:
    """Draw from [0, 1)."""
    return torch.rand(tuple(shape), generator=generator, device=generator.device).to(device)
