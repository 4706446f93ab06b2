from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn import datasets
from sklearn.neighbors import KNeighborsClassifier

from sleepdefense.data import ImageSet, load_data
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
    small, large = load_digits(native=True)[1].images, load_digits()[1].images
    shrunk = F.interpolate(large[:, :, 4:24, 4:24], size=(8, 8), mode="area")
    nearest = torch.cdist(shrunk.flatten(1), small.flatten(1)).argmin(1)
    assert (
        nearest == torch.arange(len(small))
    ).float().mean() > 0.98  # measured: 0.994, and 0.02 if transposed


def _accuracy(train: ImageSet, test: ImageSet) -> float:
    """Fraction of `test` that the 3 nearest neighbours in `train` tell right."""
    known = KNeighborsClassifier(3).fit(train.images.flatten(1).numpy(), train.labels.numpy())
    return float(known.score(test.images.flatten(1).numpy(), test.labels.numpy()))


def test_split_by_writer_is_as_hard_as_the_docstring_says() -> None:
    train, test = load_digits(native=True)
    assert _accuracy(train, test) == pytest.approx(0.967, abs=5e-4)
    images, labels = torch.cat([train.images, test.images]), torch.cat([train.labels, test.labels])
    mixed = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    parts = [
        ImageSet(name="mixed", images=images[part], labels=labels[part], num_classes=10)
        for part in (mixed[:1437], mixed[1437:])
    ]
    assert _accuracy(*parts) == pytest.approx(0.989, abs=0.01)  # depends on the draw


@pytest.mark.slow
def test_large_digits_look_like_mnist_as_the_docstring_says(mnist_dir: Path) -> None:
    mnist, _ = load_data("mnist", data_dir=mnist_dir, limit=6000)
    assert _accuracy(mnist, load_digits()[0]) == pytest.approx(0.695, abs=5e-3)
    small, _ = load_digits(native=True)
    full = F.interpolate(small.images, size=(28, 28), mode="bicubic").clamp(0, 1)
    assert _accuracy(mnist, replace(small, images=full)) == pytest.approx(0.479, abs=5e-3)


def test_content_is_the_same_on_every_machine() -> None:
    train, test = load_digits()
    assert (train.digest, test.digest) == (
        "4c80d6dba6c7b059d6ba7e7db7bd6befcc57afc8892d1403eb8879abc37e9888",
        "cf490758980dfd4a693ef59c08a016d1bf4958c5968ee52353479fdfbb8b62a7",
    )
