import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d
from torch.testing import assert_close

from sleepdefense.attacks.corruptions import gaussian_blur, gaussian_noise, salt_and_pepper


@pytest.fixture
def images():
    return torch.rand(3, 2, 9, 7, generator=torch.Generator().manual_seed(0))


def test_noise_is_added_and_clipped():
    normal = torch.tensor([1.0, -1.0, 0.5]).reshape(1, 1, 1, 3)
    images = torch.tensor([0.9, 0.1, 0.5]).reshape(1, 1, 1, 3)
    assert_close(gaussian_noise(images, normal, sigma=0.2).flatten(), torch.tensor([1.0, 0.0, 0.6]))


@pytest.mark.parametrize("sigma", [0.5, 1.0, 3.0])
def test_blur_is_that_of_scipy(images, sigma):
    expected = images.numpy().astype(np.float64)
    for axis in (2, 3):
        expected = gaussian_filter1d(expected, sigma, axis=axis, mode="nearest", truncate=4.0)
    assert_close(gaussian_blur(images, sigma=sigma).double(), torch.from_numpy(expected), atol=1e-6, rtol=0)


def test_a_grey_image_stays_grey():
    grey = torch.full((1, 1, 8, 8), 0.4)
    assert_close(gaussian_blur(grey, sigma=5.0), grey)


def test_salt_and_pepper_by_hand():
    images = torch.full((1, 2, 1, 4), 0.5)
    uniform = torch.tensor([0.0, 0.04, 0.06, 0.1]).reshape(1, 1, 1, 4)
    expected = torch.tensor([0.0, 0.0, 1.0, 0.5])
    assert_close(salt_and_pepper(images, uniform, share=0.1)[0], expected.expand(2, 1, 4))


def test_salt_and_pepper_may_replace_everything(images):
    uniform = torch.rand(3, 1, 9, 7, generator=torch.Generator().manual_seed(1))
    assert set(salt_and_pepper(images, uniform, share=1.0).flatten().tolist()) == {0.0, 1.0}
