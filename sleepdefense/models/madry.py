"""The convolutional classifier of the adversarial training challenge on MNIST."""

from typing import ClassVar

from torch import Tensor, nn
from typing_extensions import override

from sleepdefense.models.base import AbstractClassifier, traceable
from sleepdefense.models.settings import check_counts, check_size
from sleepdefense.shapes import Images, Logits

_WEIGHT_DEVIATION = 0.1
_BIAS = 0.1


class MadryCNN(AbstractClassifier):
    """Two convolutions of 5x5 pixels, each with a ReLU and a max pooling, and two full layers.

    Nothing in it is robust by itself: it is the network that Madry et al. trained on attacked images, see
    `training.AdversarialConfig`.

    Args:
        width: Maps of the first convolution; the second has twice as many.
        hidden: Units of the first full layer.
        channels: Channels of the image.
        size: Height and width of the image in pixels, >= 4.
        num_classes: Number of classes.

    Raises:
        ConfigError: A setting is out of range.

    Source:
        Madry et al. 2018 and the public code of their MNIST challenge: 3 274 634 parameters at the default
        settings, weights from a normal distribution of deviation 0.1 cut at 0.2, biases 0.1.
    """

    name: ClassVar[str] = "madry"

    def __init__(
        self, *, width: int = 32, hidden: int = 1024, channels: int = 1, size: int = 28, num_classes: int = 10
    ) -> None:
        check_counts(self.name, width=width, hidden=hidden, channels=channels, num_classes=num_classes)
        check_size(self.name, size, smallest=4)
        super().__init__(
            {"width": width, "hidden": hidden, "channels": channels, "size": size, "num_classes": num_classes}
        )
        left = size // 4
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(width, 2 * width, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(2 * width * left * left, hidden),
            nn.ReLU(),
            nn.Linear(hidden, num_classes),
        )
        for layer in self.layers:
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.trunc_normal_(
                    layer.weight, std=_WEIGHT_DEVIATION, a=-2 * _WEIGHT_DEVIATION, b=2 * _WEIGHT_DEVIATION
                )
                assert layer.bias is not None
                nn.init.constant_(layer.bias, _BIAS)

    @override
    @traceable
    def forward(self, image: Images) -> Logits:
        """Return the logits, (batch, class)."""
        logits: Tensor = self.layers(image)
        return logits
