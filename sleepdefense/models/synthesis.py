"""Analysis by synthesis (ABS): an autoencoder for each class, and which of them explains an image best."""

import inspect
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from typing_extensions import override

from sleepdefense.errors import ConfigError
from sleepdefense.models.base import AbstractClassifier
from sleepdefense.models.binarised import binarise, binary_proxies
from sleepdefense.models.synthesis_config import SynthesisConfig
from sleepdefense.models.synthesis_search import descend, search
from sleepdefense.models.vae import kl_divergence, reparametrised
from sleepdefense.shapes import Images, Labels, Logits

LOGIT_SCALE = 440.0
"""What the published code multiplies its bounds with before a softmax."""

Latents = Float[Tensor, "batch class unit"]


class ABS(AbstractClassifier):
    """Judge an image by how well the best latent of each class's decoder explains it.

    With the decoder G_k of class k and P pixels, the logit of class k is a bound on log p(x | k),

        l_k(x) = -min_z (||x - G_k(z)||^2 + kl_weight ||z||^2 / 2) / P,

    found by looking through `samples` latents that are drawn once, and by descending from the best of them,
    for all classes together: their decoders are one network of groups.

    The gradient with respect to the image is that at the latent found: where it is a minimum, how the latent
    itself moves with the image adds nothing (envelope theorem). So attacks get the gradient of what is
    computed, without differentiating through the search.

    With `binary` (biABS), images are seen in black and white, and logits are multiplied by `class_factor`.

    Args:
        settings: Keywords of `SynthesisConfig`.

    Raises:
        ConfigError: A setting is out of range.

    Source:
        Schott et al. 2019, "Towards the first adversarially robust neural network model on MNIST", and the
        settings of its public code. That code clips latents to the sphere without their signs; here they
        keep them.
    """

    name: ClassVar[str] = "abs"
    switches: ClassVar[Mapping[str, bool]] = {}

    def __init__(self, **settings: Any) -> None:
        config = SynthesisConfig(**{**self.switches, **settings})
        super().__init__(asdict(config))
        self.config = config
        self.encoder = _encoder(config)
        self.decoder = _decoder(config)
        self.register_buffer("starts", _starts(config))
        self.register_buffer("class_factor", torch.ones(config.num_classes))
        self._imagined: tuple[tuple[int, ...], Tensor] | None = None
        if config.binary:
            self.threshold = config.threshold

    @override
    def forward(self, image: Images) -> Logits:
        """Return l_k(x) for each class, (batch, class)."""
        if self.config.binary:
            image = binarise(image, self.config.threshold)
        return self.bound(image)

    def bound(self, image: Images) -> Logits:
        """Return l_k(x), (batch, class), of images as they are, with a gradient with respect to them."""
        factor = self.get_buffer("class_factor")
        return -factor * self.cost(image, self.best_latents(image.detach()))

    def best_latents(self, image: Images) -> Latents:
        """Return the latents that explain images best, as far as the search finds them."""
        starts = self.get_buffer("starts")
        first = search(image, starts, self.imagined(), kl_weight=self.config.kl_weight)
        return descend(
            lambda latent: self.cost(image, latent),
            first,
            num_steps=self.config.num_steps,
            learning_rate=self.config.learning_rate,
            radius=self.config.radius,
        )

    def cost(self, image: Images, latent: Latents) -> Float[Tensor, "batch class"]:
        """Return (||x - G_k(z)||^2 + kl_weight ||z||^2 / 2) / P."""
        error: Tensor = (image[:, None] - self.decode(latent)).square().flatten(2).sum(2)
        prior = 0.5 * latent.square().sum(2)
        return (error + self.config.kl_weight * prior) / self.config.pixels

    def decode(self, latent: Latents) -> Float[Tensor, "batch class channel height width"]:
        """Return what each class makes of its latent, in [0, 1]."""
        images: Tensor = torch.sigmoid(self.decoder(latent.flatten(1)[:, :, None, None]))
        by_class: Tensor = images.unflatten(1, (self.config.num_classes, self.config.channels))
        return by_class

    @torch.no_grad()
    def imagined(self) -> Float[Tensor, "class sample pixel"]:
        """Return what every class makes of every start; kept until a weight changes."""
        parts = [*self.decoder.parameters(), *self.decoder.buffers()]
        state = tuple(part._version for part in parts) + tuple(part.data_ptr() for part in parts)
        if self._imagined is None or self._imagined[0] != state:
            starts = self.get_buffer("starts")
            batches = [
                self.decode(batch[:, None].expand(-1, self.config.num_classes, -1)).flatten(2)
                for batch in starts.split(250)
            ]
            self._imagined = (state, torch.cat(batches).transpose(0, 1).contiguous())
        return self._imagined[1]

    @override
    def loss(
        self, noisy: Images, clean: Images, label: Labels, *, generator: torch.Generator
    ) -> Float[Tensor, ""]:
        """Return the mean negative bound of each image under its own class's autoencoder, over P."""
        config = self.config
        place, counts = _by_class(label, config.num_classes)
        seen, target = (images[place].flatten(1, 2) for images in (noisy, clean))
        code = self.encoder(seen).flatten(1).unflatten(1, (config.num_classes, 2, config.latent))
        mean, log_variance = code[:, :, 0].flatten(0, 1), code[:, :, 1].flatten(0, 1)
        latent = reparametrised(mean, log_variance, generator=generator)
        made = self.decode(latent.unflatten(0, (-1, config.num_classes)))
        target = target.unflatten(1, (config.num_classes, config.channels))
        error = (made - target).square().flatten(2).sum(2)
        prior = kl_divergence(mean, log_variance).unflatten(0, (-1, config.num_classes))
        cost = (error + config.kl_weight * prior) / config.pixels
        return torch.where(counts, cost, torch.zeros_like(cost)).sum() / len(label)

    @override
    def check_data(self, images: Images, labels: Labels) -> None:
        """Refuse images of another size, and a training without images of one of the classes."""
        shape = (self.config.channels, self.config.size, self.config.size)
        if tuple(images.shape[1:]) != shape:
            raise ConfigError(
                f"model '{self.name}' was built for images of shape {shape}, got {tuple(images.shape[1:])}"
            )
        found = set(labels.tolist())
        missing = [str(number) for number in range(self.config.num_classes) if number not in found]
        if missing:
            raise ConfigError(
                f"model '{self.name}' has an autoencoder for each of {self.config.num_classes} classes, and "
                f"the training images have none of class {', '.join(missing)}. Take more images, or set "
                "'num_classes' to what there is"
            )

    def rebuilt(self, **settings: Any) -> "ABS":
        """Return a network with the same weights and other settings of the search, or binarised.

        Raises:
            ConfigError: The weights are not those of such a network.
        """
        other = ABS(**{**self.settings, **settings})
        state = self.state_dict()
        if other.config.samples != self.config.samples:
            state["starts"] = other.state_dict()["starts"]
        try:
            other.load_state_dict(state)
        except RuntimeError as error:
            raise ConfigError(f"{settings} ask for other weights than those of '{self.name}'") from error
        return other.train(self.training)

    def proxies(self) -> dict[str, nn.Module]:
        """Return networks with the same weights, to be attacked in place of this one.

        ABS itself, whose logits are differences of some hundredths, is seen with 440 times as large ones, the
        scale of its authors' softmax; biABS by what stands for its threshold.
        """
        if not self.config.binary:
            return {"sharp": _Bound(self, scale=LOGIT_SCALE)}
        return binary_proxies(_Bound(self, scale=LOGIT_SCALE), self.config.threshold)


class BiABS(ABS):
    """ABS that sees images in black and white."""

    name: ClassVar[str] = "biabs"
    switches: ClassVar[Mapping[str, bool]] = {"binary": True}


class _Bound(nn.Module):
    """ABS behind its threshold."""

    def __init__(self, model: ABS, *, scale: float = 1.0) -> None:
        super().__init__()
        self.model = model
        self.scale = scale

    @override
    def forward(self, image: Images) -> Logits:
        return self.scale * self.model.bound(image)

    @override
    def extra_repr(self) -> str:
        return f"scale={self.scale}"


def _encoder(config: SynthesisConfig) -> nn.Sequential:
    """Return the encoders of all classes as groups; the image comes once for each class."""
    num, width = config.num_classes, config.width
    left = ((config.size - 8) // 2 + 1 - 3) // 2 + 1
    maps = [config.channels, width, width, 2 * width, 2 * config.latent]
    layers: list[nn.Module] = []
    for number, (kernel, stride) in enumerate(((5, 1), (4, 2), (3, 2), (left, 1))):
        before, after = maps[number : number + 2]
        layers += [
            nn.Conv2d(num * before, num * after, kernel, stride, groups=num),
            nn.BatchNorm2d(num * after),
            nn.ELU(),
        ]
    return nn.Sequential(*layers[:-2])


def _decoder(config: SynthesisConfig) -> nn.Sequential:
    """Return the decoders of all classes as groups, without their sigmoid."""
    num, width = config.num_classes, config.width
    maps = [config.latent, width, width // 2, width // 2, config.channels]
    first = (config.size - 12) // 4
    layers: list[nn.Module] = []
    for number, (kernel, stride) in enumerate(((first, 1), (5, 2), (5, 2), (4, 1))):
        before, after = maps[number : number + 2]
        layers += [
            nn.ConvTranspose2d(num * before, num * after, kernel, stride, groups=num),
            nn.BatchNorm2d(num * after),
            nn.ELU(),
        ]
    return nn.Sequential(*layers[:-2])


def _starts(config: SynthesisConfig) -> Float[Tensor, "sample unit"]:
    """Draw latents from the prior, without the tenth that is least likely."""
    drawn = torch.randn(-(-config.samples * 10 // 9), config.latent)
    return drawn[drawn.square().sum(1).argsort()[: config.samples]]


def _by_class(label: Labels, num_classes: int) -> tuple[Int[Tensor, "row class"], Bool[Tensor, "row class"]]:
    """Return rows with the number of an image of every class each, and which entries count.

    A class with fewer images than rows repeats them, which then count no more; one without any shows the
    first image of the batch, which does not count either.
    """
    own = [torch.nonzero(label == number).flatten() for number in range(num_classes)]
    rows = max(len(images) for images in own)
    turn = torch.arange(rows, device=label.device)
    place = [images[turn % len(images)] if len(images) else torch.zeros_like(turn) for images in own]
    counts = [turn < len(images) for images in own]
    return torch.stack(place, 1), torch.stack(counts, 1)


for _member in (ABS, BiABS):
    _signature = inspect.signature(SynthesisConfig)
    _member.__signature__ = _signature.replace(  # type: ignore[attr-defined]
        parameters=[
            parameter.replace(default=_member.switches.get(name, parameter.default))
            for name, parameter in _signature.parameters.items()
        ]
    )
