"""The plain convolutional classifier that robust models are compared with."""

from typing import ClassVar

from torch import Tensor, nn
from typing_extensions import override

from sleepdefense.models.base import AbstractClassifier, traceable
from sleepdefense.models.settings import check_counts, check_size
from sleepdefense.shapes import Images, Logits

_SMALLEST = 12


class VanillaCNN(AbstractClassifier):
    """Four convolutions, the first three with batch norm and ELU, the last one straight to the logits.

    Kernels of 5, 4 and 3 pixels with strides 1, 2 and 2 leave 5x5 pixels of an image of 28; the last kernel
    spans what is left, whatever the size. ELUs have negative values, so this network has no spiking twin:
    it classifies, and does not sleep.

    Args:
        width: Maps of the first layer; the next have 3.5 and 12.8 times as many, rounded.
        channels: Channels of the image.
        size: Height and width of the image in pixels, >= 12.
        num_classes: Number of classes.

    Raises:
        ConfigError: A setting is out of range, or the image too small.

    Source:
        Schott et al. 2019, "Towards the first adversarially robust neural network model on MNIST", the
        CNN baseline: 20, 70 and 256 maps and 249 228 parameters at the default settings.
    """

    name: ClassVar[str] = "vanilla-cnn"

    def __init__(self, *, width: int = 20, channels: int = 1, size: int = 28, num_classes: int = 10) -> None:
        check_counts(self.name, width=width, channels=channels, num_classes=num_classes)
        check_size(self.name, size, smallest=_SMALLEST)
        super().__init__({"width": width, "channels": channels, "size": size, "num_classes": num_classes})
        second, third = round(3.5 * width), round(12.8 * width)
        left = (((size - 4) - 4) // 2 + 1 - 3) // 2 + 1
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width, 5),
            nn.BatchNorm2d(width),
            nn.ELU(),
            nn.Conv2d(width, second, 4, stride=2),
            nn.BatchNorm2d(second),
            nn.ELU(),
            nn.Conv2d(second, third, 3, stride=2),
            nn.BatchNorm2d(third),
            nn.ELU(),
            nn.Conv2d(third, num_classes, left),
            nn.Flatten(),
        )

    @override
    @traceable
    def forward(self, image: Images) -> Logits:
        """Return the logits, (batch, class)."""
        logits: Tensor = self.layers(image)
        return logits
