"""The target classifiers C1 to C4 of the Defense-GAN and Defense-VAE papers.

Images of another size and colour go through the same layers; only the first linear map after the convolutions
grows. CelebA's 64 pixels become 32, 14 and 10 in C1, 64 and 30 in C2. Several attributes of an image are
learned as one of 2**attributes joint classes (`sleepdefense.data.AttributeSet`), each class with a score of
its own or, with the setting `attributes`, each attribute.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn
from typing_extensions import override

from sleepdefense.models.attribute_head import read_out
from sleepdefense.models.base import AbstractClassifier, traceable
from sleepdefense.models.settings import check_counts, check_fractions, check_size
from sleepdefense.shapes import Images, Logits


class _AbstractLayered(AbstractClassifier):
    """A classifier whose layers follow one another; each subclass is a table of layers."""

    def __init__(self, settings: dict[str, int | float], *layers: nn.Module) -> None:
        super().__init__(settings)
        self.layers = nn.Sequential(*layers)
        self.apply(_initialise_)

    @override
    @traceable
    def forward(self, image: Images) -> Logits:
        """Return the logits, (batch, class)."""
        logits: Tensor = self.layers(image)
        return logits


class C1(_AbstractLayered):
    """Dropout on the pixels, three convolutions, dropout, one linear map.

    8x8 stride 2, 6x6 stride 2 and 5x5 stride 1 convolutions with ReLU: an image of 28 pixels becomes 14,
    5 and 1.

    Args:
        width: Maps of the first convolution; the others have twice as many.
        channels: Channels of the image.
        size: Height and width of the image in pixels, >= 27.
        num_classes: Number of classes.
        attributes: Where a class is a combination of so many yes-or-no attributes, give each a score of its
            own (see `read_out`); 0: one score for each class.
        input_dropout: Fraction of the pixels dropped in training. The papers print "Dropout 0.2"; the
            code they share hands 0.2 to a function of TensorFlow 1 that takes the fraction *kept*, which
            is 0.8 here and explains the low clean accuracy they print for C1 (96.2 on MNIST).

    Raises:
        ConfigError: A setting is out of range, or the image too small.

    Source:
        Talafha et al. 2023, Table 1, C1; model B of Samangouei et al. 2018. The table's padding of 5
        makes 28 pixels 16, 6 and 2; the code pads so that they become 14, 5 and 1 ("SAME").
    """

    name: ClassVar[str] = "c1"

    def __init__(
        self,
        *,
        width: int = 64,
        channels: int = 1,
        size: int = 28,
        num_classes: int = 10,
        attributes: int = 0,
        input_dropout: float = 0.2,
    ) -> None:
        check_counts(self.name, width=width, channels=channels, num_classes=num_classes)
        check_fractions(self.name, input_dropout=input_dropout)
        check_size(self.name, size, smallest=27)
        # "SAME" at stride 2: half the pixels, rounded up, and an odd rest of the padding at the far end.
        padding = 2 * (-(-size // 2) - 1) + 8 - size
        near, far = padding // 2, padding - padding // 2
        last = ((size + padding - 8) // 2 + 1 - 6) // 2 + 1 - 4
        super().__init__(
            {
                "width": width,
                "channels": channels,
                "size": size,
                "num_classes": num_classes,
                "attributes": attributes,
                "input_dropout": input_dropout,
            },
            nn.Dropout(input_dropout),
            *([] if near == far else [nn.ZeroPad2d((near, far, near, far))]),
            nn.Conv2d(channels, width, 8, stride=2, padding=near if near == far else 0),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 6, stride=2),
            nn.ReLU(),
            nn.Conv2d(2 * width, 2 * width, 5),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Flatten(),
            *read_out(self.name, 2 * width * last**2, num_classes, attributes),
        )


class C2(_AbstractLayered):
    """Two convolutions, dropout, a hidden layer, dropout, one linear map.

    3x3 stride 1 and 5x5 stride 2 convolutions with ReLU: an image of 28 pixels stays at 28 and becomes 12.

    Args:
        width: Maps of the second convolution; the first one and the hidden layer have twice as many.
        channels: Channels of the image.
        size: Height and width of the image in pixels, >= 5.
        num_classes: Number of classes.
        attributes: Where a class is a combination of so many yes-or-no attributes, give each a score of its
            own (see `read_out`); 0: one score for each class.
        hidden_dropout: Fraction dropped behind the convolutions in training; 0.75 is the papers' shared
            code taken literally (see `C1`).

    Raises:
        ConfigError: A setting is out of range, or the image too small.

    Source:
        Talafha et al. 2023, Table 1, C2; model C of Samangouei et al. 2018. The table prints 128 maps for
        the second convolution, the code of both earlier papers has 64.
    """

    name: ClassVar[str] = "c2"

    def __init__(
        self,
        *,
        width: int = 64,
        channels: int = 1,
        size: int = 28,
        num_classes: int = 10,
        attributes: int = 0,
        hidden_dropout: float = 0.25,
    ) -> None:
        check_counts(self.name, width=width, channels=channels, num_classes=num_classes)
        check_fractions(self.name, hidden_dropout=hidden_dropout)
        check_size(self.name, size, smallest=5)
        last = (size - 5) // 2 + 1
        super().__init__(
            {
                "width": width,
                "channels": channels,
                "size": size,
                "num_classes": num_classes,
                "attributes": attributes,
                "hidden_dropout": hidden_dropout,
            },
            nn.Conv2d(channels, 2 * width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(2 * width, width, 5, stride=2),
            nn.ReLU(),
            nn.Dropout(hidden_dropout),
            nn.Flatten(),
            nn.Linear(width * last**2, 2 * width),
            nn.ReLU(),
            nn.Dropout(0.5),
            *read_out(self.name, 2 * width, num_classes, attributes),
        )


class C3(_AbstractLayered):
    """Two hidden layers, each followed by dropout.

    Args:
        hidden: Units of each hidden layer.
        channels: Channels of the image.
        size: Height and width of the image in pixels.
        num_classes: Number of classes.
        attributes: Where a class is a combination of so many yes-or-no attributes, give each a score of its
            own (see `read_out`); 0: one score for each class.
        last_dropout: Fraction dropped behind the second hidden layer in training; the code of the
            earlier papers has none (0).

    Raises:
        ConfigError: A setting is out of range.

    Source:
        Talafha et al. 2023, Table 1, C3; model D of Samangouei et al. 2018.
    """

    name: ClassVar[str] = "c3"

    def __init__(
        self,
        *,
        hidden: int = 200,
        channels: int = 1,
        size: int = 28,
        num_classes: int = 10,
        attributes: int = 0,
        last_dropout: float = 0.25,
    ) -> None:
        check_counts(self.name, hidden=hidden, channels=channels, size=size, num_classes=num_classes)
        check_fractions(self.name, last_dropout=last_dropout)
        super().__init__(
            {
                "hidden": hidden,
                "channels": channels,
                "size": size,
                "num_classes": num_classes,
                "attributes": attributes,
                "last_dropout": last_dropout,
            },
            nn.Flatten(),
            nn.Linear(channels * size * size, hidden),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Dropout(last_dropout),
            *read_out(self.name, hidden, num_classes, attributes),
        )


class C4(_AbstractLayered):
    """Two hidden layers without dropout.

    Args:
        hidden: Units of each hidden layer.
        channels: Channels of the image.
        size: Height and width of the image in pixels.
        num_classes: Number of classes.
        attributes: Where a class is a combination of so many yes-or-no attributes, give each a score of its
            own (see `read_out`); 0: one score for each class.

    Raises:
        ConfigError: A setting is out of range.

    Source:
        Talafha et al. 2023, Table 1, C4; model E of Samangouei et al. 2018.
    """

    name: ClassVar[str] = "c4"

    def __init__(
        self,
        *,
        hidden: int = 200,
        channels: int = 1,
        size: int = 28,
        num_classes: int = 10,
        attributes: int = 0,
    ) -> None:
        check_counts(self.name, hidden=hidden, channels=channels, size=size, num_classes=num_classes)
        super().__init__(
            {
                "hidden": hidden,
                "channels": channels,
                "size": size,
                "num_classes": num_classes,
                "attributes": attributes,
            },
            nn.Flatten(),
            nn.Linear(channels * size * size, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            *read_out(self.name, hidden, num_classes, attributes),
        )


@torch.no_grad()
def _initialise_(module: nn.Module) -> None:
    """Draw the weights of one layer from N(0, 1), scaled to norm 1 for each unit, and biases of 0."""
    if isinstance(module, nn.Conv2d | nn.Linear) and module.weight.requires_grad:
        nn.init.normal_(module.weight)
        module.weight /= module.weight.flatten(1).norm(dim=1).reshape(-1, *[1] * (module.weight.ndim - 1))
        if module.bias is not None:
            nn.init.zeros_(module.bias)
