import pytest
import torch
from torch import nn

from sleepdefense.analysis import (
    compare_reconstructions,
    mean_squared_error,
    peak_signal_to_noise,
    structural_similarity,
)
from sleepdefense.conversion import to_spiking
from sleepdefense.errors import EvaluationError
from sleepdefense.models import FCVAE
from sleepdefense.spiking import reconstruct

IMAGES = torch.rand(6, 1, 12, 12, generator=torch.Generator().manual_seed(0))


class Darker(nn.Module):
    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return 0.5 * image


def test_a_row_holds_the_means_over_images() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        vae = FCVAE(hidden=16, latent=4, size=12).train()
    spiking = to_spiking(vae, IMAGES)
    table = compare_reconstructions({"darker": Darker(), "spiking": spiking}, IMAGES, IMAGES, num_steps=5)
    expected = {"darker": 0.5 * IMAGES, "spiking": reconstruct(spiking, IMAGES, 5)}
    for row in table.rows:
        found = expected[row.network]
        assert row.mse == pytest.approx(float(mean_squared_error(found, IMAGES).mean()))
        assert row.psnr == pytest.approx(float(peak_signal_to_noise(found, IMAGES).mean()))
        assert row.ssim == pytest.approx(float(structural_similarity(found, IMAGES).mean()))
        assert row.num_images == 6
    assert [row["network"] for row in table.to_json()] == ["darker", "spiking"]
    assert str(table).splitlines()[2].split()[0] == "darker"
    assert str(table).splitlines()[0].split() == ["network", "MSE", "PSNR/dB", "SSIM", "n"]


def test_a_network_in_training_is_asked_at_rest() -> None:
    model = nn.Sequential(nn.Dropout(0.5), nn.Sigmoid()).train()
    (row,) = compare_reconstructions({"net": model}, IMAGES, torch.sigmoid(IMAGES)).rows
    assert row.mse == 0.0
    assert model.training


def test_small_images_are_refused() -> None:
    small = IMAGES[:, :, :8, :8]
    with pytest.raises(EvaluationError, match="images of 8x8 pixels are too small"):
        compare_reconstructions({"darker": Darker()}, small, small)
