"""A purifier in front of a classifier: the defended network."""

from torch import Tensor, nn
from typing_extensions import override

from sleepdefense.models.base import traceable
from sleepdefense.shapes import Images, Logits


class Purified(nn.Module):
    """Classify what a purifier makes of an image: logits = classifier(purifier(image)).

    Args:
        purifier: Any module from images to images, (batch, channel, height, width), in [0, 1].
        classifier: Any module from images to logits, (batch, class).
    """

    def __init__(self, purifier: nn.Module, classifier: nn.Module) -> None:
        super().__init__()
        self.purifier = purifier
        self.classifier = classifier

    @override
    @traceable
    def forward(self, image: Images) -> Logits:
        """Return the logits, (batch, class)."""
        logits: Tensor = self.classifier(self.purifier(image))
        return logits

    def attack_surfaces(self) -> dict[str, nn.Module]:
        """Return, for each threat model, the network an attacker differentiates through.

        "oblivious" attacks know the classifier alone, which the papers on purifiers call white-box;
        "white-box" attacks go through both.
        """
        return {"oblivious": self.classifier, "white-box": self}
