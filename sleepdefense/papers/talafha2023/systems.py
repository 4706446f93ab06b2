"""What the tables judge: a network that is attacked in one way, and only in that."""

from collections.abc import Mapping

from torch import Tensor, nn
from typing_extensions import override

from sleepdefense.shapes import Images, Logits


class Attacked(nn.Module):
    """A network whose attacks follow the gradient of another one.

    Args:
        judged: Gives the logits that count.
        threat_model: What the attacker knows, as a table calls it.
        surface: What the gradient goes through; the network itself if it is left out. Networks that share a
            surface are shown the same images.
    """

    def __init__(self, judged: nn.Module, threat_model: str, surface: nn.Module | None = None) -> None:
        super().__init__()
        self.judged = judged
        self.threat_model = threat_model
        self.surface = judged if surface is None else surface

    @override
    def forward(self, image: Images) -> Logits:
        """Return the logits of the judged network, (batch, class)."""
        logits: Tensor = self.judged(image)
        return logits

    @override
    def extra_repr(self) -> str:
        """Return the threat model."""
        return self.threat_model

    def attack_surfaces(self) -> Mapping[str, nn.Module]:
        """Return the one surface."""
        return {self.threat_model: self.surface}
