import numpy as np
import torch
from sklearn import datasets

from sleepdefense.data import load_data
from sleepdefense.data.digits import load_digits


def test_split_is_stratified_and_complete() -> None:
    train, test = load_digits(native=True)
    assert (len(train), len(test)) == (1437, 360)
    assert torch.bincount(test.labels).tolist() == [36] * 10
    everything = torch.cat([train.images, test.images]).flatten(1).sum(0)
    original = torch.from_numpy(datasets.load_digits().data).float().sum(0) / 16
    torch.testing.assert_close(everything, original, rtol=1e-5, atol=0)  # a sum of 1797 floats


def test_test_set_is_the_last_of_each_class() -> None:
    bunch = datasets.load_digits()
    _, test = load_digits(native=True)
    threes = test.images[test.labels == 3].numpy()[:, 0] * 16
    np.testing.assert_array_equal(threes, bunch.images[bunch.target == 3][-36:])


def test_native_images_are_the_originals() -> None:
    train, _ = load_data("digits", native=True, limit=5)
    assert train.images.shape == (5, 1, 8, 8)
    np.testing.assert_array_equal(train.images[:, 0].numpy() * 16, datasets.load_digits().images[:5])


def test_large_images_have_the_frame_of_mnist() -> None:
    train, test = load_digits()
    assert train.images.shape == (1437, 1, 28, 28)
    frame = torch.ones(28, 28, dtype=torch.bool)
    frame[4:24, 4:24] = False
    assert not train.images[:, :, frame].any()
    assert train.images.max() == test.images.max() == 1
    levels = train.images * 255
    assert torch.equal(levels, levels.round())


def test_large_images_are_the_small_ones_enlarged() -> None:
    small, large = load_digits(native=True)[0].images, load_digits()[0].images
    shrunk = torch.nn.functional.interpolate(large[:, :, 4:24, 4:24], size=(8, 8), mode="area")
    # Bicubic overshoots and is clipped; 0.1 is the measured 0.084 of mean error with a margin.
    assert (shrunk - small).abs().mean() < 0.1


def test_content_is_the_same_on_every_machine() -> None:
    train, test = load_digits()
    assert (train.digest, test.digest) == (
        "4c80d6dba6c7b059d6ba7e7db7bd6befcc57afc8892d1403eb8879abc37e9888",
        "cf490758980dfd4a693ef59c08a016d1bf4958c5968ee52353479fdfbb8b62a7",
    )
