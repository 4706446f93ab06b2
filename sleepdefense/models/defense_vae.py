"""Defense-VAE: the convolutional autoencoder whose encoder sleeps."""

from typing import ClassVar, NamedTuple

from jaxtyping import Float
from torch import Tensor, nn
from typing_extensions import override

from sleepdefense.models.base import traceable
from sleepdefense.models.settings import check_counts, check_size
from sleepdefense.models.vae import AbstractVAE
from sleepdefense.shapes import Images


class _Layer(NamedTuple):
    kernel: int
    stride: int
    padding: int


_LAYERS = (_Layer(5, 1, 2), _Layer(4, 2, 3), _Layer(4, 2, 1), _Layer(4, 2, 1))
_SMALLEST = 4


class DefenseVAE(AbstractVAE):
    """Four convolutions to a Gaussian latent, and their mirror image back to pixels.

    Encoder: convolutions of 5x5 stride 1, then three of 4x4 stride 2, to width, width, 2 width and
    4 width maps, each with batch norm and ReLU; two linear maps to mean and log variance. Decoder: a linear
    map with ReLU, then the transposed convolutions in reverse order, each with batch norm and ReLU but the
    last, which ends in a sigmoid. Convolutions have no bias. An image of 28 pixels shrinks to 28, 16, 8
    and 4; where a stride cuts off a row, the transposed twin gives it back (`output_padding`), so that
    the reconstruction has exactly the size of the image. Transposed convolution `decoder[3 * (3 - i)]` is
    the twin of convolution `encoder[3 * i]`.

    The paper prints no network of its own for CelebA's 64x64x3 images. They go through the same four stages
    on larger maps, 64, 34, 17 and 8 pixels, and 16384 instead of 4096 units before the linear maps. A fifth
    stage, which would bring them to 4 pixels as DCGAN does, would have no row in the paper's Tables 2 and 3,
    neither a threshold nor k and r, while the header of Table 2 says 64x64.

    Args:
        width: Maps of the first layer.
        channels: Channels of the image.
        size: Height and width of the image in pixels, >= 4.
        latent: Units of the latent.
        kl_weight: Weight of the KL term in the loss, dimensionless, >= 0.

    Raises:
        ConfigError: A setting is out of range, or the image too small.

    Source:
        Talafha et al. 2023, Table 2, read as in docs/decisions.md: its "64x64x1" input and its "FC 4096"
        fit only 28x28x1 images and linear maps from 4096 to 128, as in the code of Defense-VAE (Li and Ji
        2019). Weights begin as there: convolutions N(0, 0.02), batch norms N(1, 0.02).
    """

    name: ClassVar[str] = "defense-vae"

    def __init__(
        self,
        *,
        width: int = 64,
        channels: int = 1,
        size: int = 28,
        latent: int = 128,
        kl_weight: float = 1.0,
    ) -> None:
        check_counts(self.name, width=width, channels=channels, latent=latent)
        check_size(self.name, size, smallest=_SMALLEST)
        super().__init__(
            {"width": width, "channels": channels, "size": size, "latent": latent, "kl_weight": kl_weight},
            kl_weight=kl_weight,
        )
        maps = (channels, width, width, 2 * width, 4 * width)
        sizes = [size]
        for layer in _LAYERS:
            sizes.append((sizes[-1] + 2 * layer.padding - layer.kernel) // layer.stride + 1)
        units = maps[-1] * sizes[-1] ** 2

        encoder: list[nn.Module] = []
        decoder: list[nn.Module] = []
        for index, layer in enumerate(_LAYERS):
            encoder += [
                nn.Conv2d(maps[index], maps[index + 1], *layer, bias=False),
                nn.BatchNorm2d(maps[index + 1]),
                nn.ReLU(),
            ]
        for index, layer in reversed(list(enumerate(_LAYERS))):
            lost = (sizes[index] + 2 * layer.padding - layer.kernel) % layer.stride
            decoder += [
                nn.ConvTranspose2d(maps[index + 1], maps[index], *layer, output_padding=lost, bias=False),
                nn.BatchNorm2d(maps[index]),
                nn.ReLU(),
            ]
        self.encoder = nn.Sequential(*encoder, nn.Flatten())
        self.mean = nn.Linear(units, latent)
        self.log_variance = nn.Linear(units, latent)
        self.expand = nn.Sequential(
            nn.Linear(latent, units), nn.ReLU(), nn.Unflatten(1, (maps[-1], sizes[-1], sizes[-1]))
        )
        self.decoder = nn.Sequential(*decoder[:-2])
        self.apply(_initialise_)

    @override
    @traceable
    def encode(self, image: Images) -> tuple[Float[Tensor, "batch unit"], Float[Tensor, "batch unit"]]:
        """Return mean and log variance of the latent, each (batch, unit)."""
        hidden: Tensor = self.encoder(image)
        return self.mean(hidden), self.log_variance(hidden)

    @override
    @traceable
    def decode(self, latent: Float[Tensor, "batch unit"]) -> Images:
        """Return the logits of the pixels, (batch, channel, height, width)."""
        logits: Tensor = self.decoder(self.expand(latent))
        return logits


def _initialise_(module: nn.Module) -> None:
    """Draw the weights of one layer as the source does."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)
