"""What a network has become: quality of its images, its latent codes, its evidence bound."""

from sleepdefense.analysis.bound import Bound, evidence_bound
from sleepdefense.analysis.image_quality import (
    mean_squared_error,
    peak_signal_to_noise,
    structural_similarity,
)
from sleepdefense.analysis.probe import ProbeRow, ProbeTable, probe_latents
from sleepdefense.analysis.reconstruction import QualityRow, QualityTable, compare_reconstructions

__all__ = [
    "Bound",
    "ProbeRow",
    "ProbeTable",
    "QualityRow",
    "QualityTable",
    "compare_reconstructions",
    "evidence_bound",
    "mean_squared_error",
    "peak_signal_to_noise",
    "probe_latents",
    "structural_similarity",
]
