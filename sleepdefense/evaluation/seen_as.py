"""A system that is attacked in one way, and only in that."""

from collections.abc import Mapping

from torch import Tensor, nn
from typing_extensions import override

from sleepdefense.shapes import Images, Logits


class SeenAs(nn.Module):
    """A system whose attacks are limited to one threat model.

    Args:
        system: What is judged: it gives the logits that count.
        threat_model: The only one that is left, as a table calls it.
        surface: What the gradient goes through there; None: the system itself. Systems that share a surface
            are shown the same images.
    """

    def __init__(self, system: nn.Module, threat_model: str, surface: nn.Module | None = None) -> None:
        super().__init__()
        self.system = system
        self.threat_model = threat_model
        self.surface = system if surface is None else surface

    @override
    def forward(self, image: Images) -> Logits:
        """Return the logits of the system, (batch, class)."""
        logits: Tensor = self.system(image)
        return logits

    def attack_surfaces(self) -> Mapping[str, nn.Module]:
        """Return the one surface."""
        return {self.threat_model: self.surface}
