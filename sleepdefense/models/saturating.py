"""The networks of the paper on saturating networks: two perceptrons and one convolutional network.

They are plain classifiers. What makes one of them saturate is how it is trained
(`sleepdefense.training.train_saturating`).
"""

import math
from typing import ClassVar

from torch import Tensor, nn
from typing_extensions import override

from sleepdefense.models.base import AbstractClassifier, traceable
from sleepdefense.models.settings import check_counts, check_size
from sleepdefense.shapes import Images, Logits

_KERNEL = 5


class _AbstractPerceptron(AbstractClassifier):
    """Three maps with two hidden layers of equal size between them."""

    _unit: ClassVar[type[nn.Module]]

    def __init__(
        self, *, hidden: int = 1000, channels: int = 1, size: int = 28, num_classes: int = 10
    ) -> None:
        check_counts(self.name, hidden=hidden, channels=channels, size=size, num_classes=num_classes)
        super().__init__({"hidden": hidden, "channels": channels, "size": size, "num_classes": num_classes})
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(channels * size * size, hidden),
            self._unit(),
            nn.Linear(hidden, hidden),
            self._unit(),
            nn.Linear(hidden, num_classes),
        )
        for layer in self.layers:
            if isinstance(layer, nn.Linear):
                _initialise_(layer.weight, layer.bias, gain=1.0 if self._unit is nn.Sigmoid else math.sqrt(2))

    @override
    @traceable
    def forward(self, image: Images) -> Logits:
        """Return the logits, (batch, class)."""
        logits: Tensor = self.layers(image)
        return logits


class SigmoidMLP(_AbstractPerceptron):
    """A perceptron of three layers with sigmoid units.

        x^l = sigmoid(W^l x^(l-1) + b^l) for l = 1, 2,    logits = W^3 x^2 + b^3

    Its units convert to stochastic binary neurons, which are exact in the mean.

    Args:
        hidden: Units of each hidden layer; the paper tried 200 to 2000.
        channels: Channels of the image.
        size: Height and width of the image in pixels.
        num_classes: Number of classes.

    Raises:
        ConfigError: A setting is out of range.

    Source:
        Nayebi and Ganguli 2017, sections 2 and 4. How weights begin is not said: N(0, 2 / (in + out)), for
        sigmoid units.
    """

    name: ClassVar[str] = "saturating-sigmoid-mlp"
    _unit = nn.Sigmoid


class ReLUMLP(_AbstractPerceptron):
    """A perceptron of three layers with rectified units.

        x^l = max(0, W^l x^(l-1) + b^l) for l = 1, 2,    logits = W^3 x^2 + b^3

    Args:
        hidden: Units of each hidden layer; the paper tried 200 to 2000.
        channels: Channels of the image.
        size: Height and width of the image in pixels.
        num_classes: Number of classes.

    Raises:
        ConfigError: A setting is out of range.

    Source:
        Nayebi and Ganguli 2017, sections 2 and 4. How weights begin is not said: N(0, 4 / (in + out)), for
        rectified units.
    """

    name: ClassVar[str] = "saturating-relu-mlp"
    _unit = nn.ReLU


class SaturatingCNN(AbstractClassifier):
    """Two convolutions of 5x5 pixels, each followed by max pooling, and one hidden layer; all ReLU.

    Images are padded so that a convolution keeps their size: 28 pixels become 14 and 7.

    Args:
        width: Maps of the first convolution; the second has twice as many, the hidden layer 32 times.
        channels: Channels of the image.
        size: Height and width of the image in pixels, >= 4.
        num_classes: Number of classes.

    Raises:
        ConfigError: A setting is out of range, or the image too small.

    Source:
        Nayebi and Ganguli 2017, Table 2: 32 and 64 filters and 1024 units, the default. Padding and the
        beginning of the weights are not given; "same" padding as in TensorFlow's example network of that
        time, which has these very layers.
    """

    name: ClassVar[str] = "saturating-cnn"

    def __init__(self, *, width: int = 32, channels: int = 1, size: int = 28, num_classes: int = 10) -> None:
        check_counts(self.name, width=width, channels=channels, num_classes=num_classes)
        check_size(self.name, size, smallest=4)
        super().__init__({"width": width, "channels": channels, "size": size, "num_classes": num_classes})
        left = size // 2 // 2
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width, _KERNEL, padding=_KERNEL // 2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(width, 2 * width, _KERNEL, padding=_KERNEL // 2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(2 * width * left * left, 32 * width),
            nn.ReLU(),
            nn.Linear(32 * width, num_classes),
        )
        for layer in self.layers:
            if isinstance(layer, nn.Conv2d | nn.Linear) and layer.bias is not None:
                _initialise_(layer.weight, layer.bias, gain=math.sqrt(2))

    @override
    @traceable
    def forward(self, image: Images) -> Logits:
        """Return the logits, (batch, class)."""
        logits: Tensor = self.layers(image)
        return logits


def _initialise_(weight: Tensor, bias: Tensor, *, gain: float) -> None:
    """Draw the weights of one layer as Glorot and Bengio do, and set its biases to 0."""
    nn.init.xavier_normal_(weight, gain=gain)
    nn.init.zeros_(bias)
