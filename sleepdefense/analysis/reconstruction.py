"""A table of how well networks reconstruct: before and after a sleep, awake and spiking."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sleepdefense.analysis.image_quality import (
    mean_squared_error,
    peak_signal_to_noise,
    structural_similarity,
)
from sleepdefense.analysis.responses import Network, reconstruction_of
from sleepdefense.shapes import Images


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityRow:
    """One network.

    Attributes:
        network: Its name.
        mse: Squared error, mean over images.
        psnr: Peak signal-to-noise ratio in decibels, mean over images.
        ssim: Structural similarity, mean over images.
        num_images: How many.
    """

    network: str
    mse: float
    psnr: float
    ssim: float
    num_images: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityTable:
    """One row a network, in the order given."""

    rows: tuple[QualityRow, ...]

    def to_json(self) -> list[dict[str, Any]]:
        """Return the rows as objects of names and numbers."""
        return [asdict(row) for row in self.rows]

    def __str__(self) -> str:
        width = max([len("network"), *(len(row.network) for row in self.rows)])
        head = f"{'network':<{width}} {'MSE':>9} {'PSNR/dB':>8} {'SSIM':>7} {'n':>6}"
        lines = [head, "-" * len(head)]
        lines += [
            f"{row.network:<{width}} {row.mse:>9.5f} {row.psnr:>8.2f} {row.ssim:>7.4f} {row.num_images:>6}"
            for row in self.rows
        ]
        return "\n".join(lines)


def compare_reconstructions(
    networks: Mapping[str, Network], images: Images, clean: Images, *, num_steps: int = 64
) -> QualityTable:
    """Compare what networks make of images with what it should be.

    Args:
        networks: Name -> purifier, awake or spiking.
        images: What they see, (batch, channel, height, width), in [0, 1]; 11x11 pixels or more.
        clean: What they should give, shaped alike.
        num_steps: Steps of the spiking ones, in each half.

    Returns:
        One row a network.

    Raises:
        EvaluationError: The images are too small.
        ConversionError: A spiking network is no purifier, or was converted for other images.
    """
    rows = []
    for name, network in networks.items():
        found = reconstruction_of(network, images, num_steps=num_steps)
        row = QualityRow(
            network=name,
            mse=float(mean_squared_error(found, clean).mean()),
            psnr=float(peak_signal_to_noise(found, clean).mean()),
            ssim=float(structural_similarity(found, clean).mean()),
            num_images=len(images),
        )
        rows.append(row)
    return QualityTable(rows=tuple(rows))
