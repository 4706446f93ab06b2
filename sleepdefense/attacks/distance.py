"""How far an attack moved an image."""

from jaxtyping import Float64
from torch import Tensor

from sleepdefense.errors import ConfigError
from sleepdefense.shapes import Images


def distances(images: Images, attacked: Images, norm: str) -> Float64[Tensor, " batch"]:
    """Measure how far each image was moved, in float64.

    Args:
        images: (batch, channel, height, width), in [0, 1].
        attacked: The same images after an attack.
        norm: "L0" (changed pixels, a pixel being changed if any channel is), "L1", "L2" or "Linf"; "none",
            for corruptions, which have no norm of their own, measures L2.

    Returns:
        Distances, (batch,), >= 0.

    Raises:
        ConfigError: The norm is none of these.
    """
    change = (attacked.double() - images.double()).abs()
    match norm:
        case "L0":
            return (change != 0).any(1).flatten(1).sum(1).double()
        case "L1":
            return change.flatten(1).sum(1)
        case "L2" | "none":
            return change.flatten(1).square().sum(1).sqrt()
        case "Linf":
            return change.flatten(1).amax(1)
    raise ConfigError(f"unknown norm '{norm}': expected L0, L1, L2, Linf or none")
