"""What data sets there are: facts, no code."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from sleepdefense.errors import DataError

SPLITS = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
"""The two IDX files, images and labels, of each split; the same names in MNIST and its relatives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Facts about a data set.

    Attributes:
        name: What the user calls it.
        train: Number of training images.
        test: Number of test images.
        shape: (channel, height, width) of an image as it is loaded.
        num_classes: Number of classes.
        licence: Terms under which its owners give it away.
        origin: Who made it, and where it is described.
        folders: Names of the folder, inside the data folder, that may hold its files.
        md5: Checksum of the uncompressed content of each file; empty for an embedded data set.
        mirrors: Addresses, each ending in "/", from which the gzip files can be had, best first.
    """

    name: str
    train: int
    test: int
    shape: tuple[int, int, int]
    num_classes: int
    licence: str
    origin: str
    folders: tuple[str, ...] = ()
    md5: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    mirrors: tuple[str, ...] = ()

    @property
    def is_embedded(self) -> bool:
        """Whether it needs no file."""
        return not self.md5


DIGITS = Dataset(
    name="digits",
    train=1437,
    test=360,
    shape=(1, 28, 28),
    num_classes=10,
    licence="CC BY 4.0",
    origin="Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI; embedded in scikit-learn",
)

MNIST = Dataset(
    name="mnist",
    train=60_000,
    test=10_000,
    shape=(1, 28, 28),
    num_classes=10,
    licence="CC BY-SA 3.0",
    origin="LeCun, Cortes and Burges, http://yann.lecun.com/exdb/mnist/",
    folders=("mnist",),
    md5=MappingProxyType(
        {
            "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
            "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
            "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
            "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
        }
    ),
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "http://yann.lecun.com/exdb/mnist/",
    ),
)

FASHION_MNIST = Dataset(
    name="fashion-mnist",
    train=60_000,
    test=10_000,
    shape=(1, 28, 28),
    num_classes=10,
    licence="MIT",
    origin="Xiao, Rasul and Vollgraf, https://github.com/zalandoresearch/fashion-mnist",
    folders=("fashion-mnist", "fashion"),
    md5=MappingProxyType(
        {
            "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
            "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
            "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
            "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
        }
    ),
    mirrors=(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
    ),
)

DATASETS: Mapping[str, Dataset] = MappingProxyType(
    {dataset.name: dataset for dataset in (DIGITS, MNIST, FASHION_MNIST)}
)
"""Every data set by name."""


def find_dataset(name: str) -> Dataset:
    """Return the data set of that name.

    Raises:
        DataError: There is none; the message lists those there are.
    """
    if name not in DATASETS:
        raise DataError(f"unknown data set '{name}': expected one of {', '.join(DATASETS)}")
    return DATASETS[name]
