"""What a network has become: its images, latent codes and evidence bound, its weights and its geometry."""

from sleepdefense.analysis.bound import Bound, evidence_bound
from sleepdefense.analysis.dissimilarity import (
    Dissimilarity,
    balanced_sample,
    dissimilarities,
    dissimilarity_matrix,
)
from sleepdefense.analysis.drives import DriveDistribution, drive_distributions
from sleepdefense.analysis.geometry import (
    PathGeometry,
    confident_images,
    fisher_metric,
    input_jacobian,
    length_element,
    path_geometry,
    pulled_back_metric,
)
from sleepdefense.analysis.image_quality import (
    mean_squared_error,
    peak_signal_to_noise,
    structural_similarity,
)
from sleepdefense.analysis.pearson import (
    RatioSample,
    draw_pearson,
    empirical_ratio,
    limit_ratio,
    pearson_density,
    pearson_ratios,
    scaled_ratio,
)
from sleepdefense.analysis.probe import ProbeRow, ProbeTable, probe_latents
from sleepdefense.analysis.reconstruction import QualityRow, QualityTable, compare_reconstructions
from sleepdefense.analysis.weights import WeightDistribution, excess_kurtosis, weight_distributions

__all__ = [
    "Bound",
    "Dissimilarity",
    "DriveDistribution",
    "PathGeometry",
    "ProbeRow",
    "ProbeTable",
    "QualityRow",
    "QualityTable",
    "RatioSample",
    "WeightDistribution",
    "balanced_sample",
    "compare_reconstructions",
    "confident_images",
    "dissimilarities",
    "dissimilarity_matrix",
    "draw_pearson",
    "drive_distributions",
    "empirical_ratio",
    "evidence_bound",
    "excess_kurtosis",
    "fisher_metric",
    "input_jacobian",
    "length_element",
    "limit_ratio",
    "mean_squared_error",
    "path_geometry",
    "peak_signal_to_noise",
    "pearson_density",
    "pearson_ratios",
    "probe_latents",
    "pulled_back_metric",
    "scaled_ratio",
    "structural_similarity",
    "weight_distributions",
]
