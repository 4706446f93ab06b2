"""A variational autoencoder without convolutions: the smallest purifier that can sleep."""

from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn
from typing_extensions import override

from sleepdefense.models.base import traceable
from sleepdefense.models.settings import check_counts
from sleepdefense.models.vae import AbstractVAE
from sleepdefense.shapes import Images


class FCVAE(AbstractVAE):
    """One hidden layer of ReLUs to a Gaussian latent, and one back to pixels.

    Args:
        hidden: Units of each hidden layer.
        latent: Units of the latent.
        channels: Channels of the image.
        size: Height and width of the image in pixels.
        kl_weight: Weight of the KL term in the loss, dimensionless, >= 0.

    Raises:
        ConfigError: A setting is out of range.
    """

    name: ClassVar[str] = "fc-vae"

    def __init__(
        self,
        *,
        hidden: int = 400,
        latent: int = 64,
        channels: int = 1,
        size: int = 28,
        kl_weight: float = 1.0,
    ) -> None:
        check_counts(self.name, hidden=hidden, latent=latent, channels=channels, size=size)
        super().__init__(
            {"hidden": hidden, "latent": latent, "channels": channels, "size": size, "kl_weight": kl_weight},
            kl_weight=kl_weight,
        )
        pixels = channels * size * size
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(pixels, hidden), nn.ReLU())
        self.mean = nn.Linear(hidden, latent)
        self.log_variance = nn.Linear(hidden, latent)
        self.decoder = nn.Sequential(
            nn.Linear(latent, hidden),
            nn.ReLU(),
            nn.Linear(hidden, pixels),
            nn.Unflatten(1, (channels, size, size)),
        )

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
        logits: Tensor = self.decoder(latent)
        return logits
