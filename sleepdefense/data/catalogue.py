"""What data sets there are: facts, no code."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
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
        folders: Names of the folder, inside the data folder, that may hold its files; none if embedded.
        md5: Checksum of the uncompressed content of each file; empty where the files are not fixed.
        mirrors: Addresses, each ending in "/", from which the gzip files can be had, best first; none where
            its owners want everybody to ask them.
        other_files: Names of the files whose content is not fixed.
        page: Where a person gets a data set that has no mirrors.
        attributes: For photographs with yes-or-no attributes: those that make the class, the first counting
            1, the next 2, and so on.
        class_names: What the classes are called; none where their numbers or attributes say it all.
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
    other_files: tuple[str, ...] = ()
    page: str = ""
    attributes: tuple[str, ...] = ()
    class_names: tuple[str, ...] = ()

    @property
    def is_embedded(self) -> bool:
        """Whether it needs no file."""
        return not self.folders

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the files that must be there."""
        return (*self.md5, *self.other_files)

    @property
    def allowed_forms(self) -> str:
        """How else a file may be there, for messages."""
        unpacked = ", the archive also unpacked" if any(name.endswith(".zip") for name in self.files) else ""
        return f"each as it is, or with .gz{unpacked}"


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

CELEBA = Dataset(
    name="celeba",
    train=162_770,
    test=19_962,
    shape=(3, 64, 64),
    num_classes=2,
    licence="non-commercial research only, no redistribution",
    origin="Liu, Luo, Wang and Tang, https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
    folders=("celeba",),
    other_files=("img_align_celeba.zip", "list_attr_celeba.txt", "list_eval_partition.txt"),
    page="https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
    attributes=("Male",),
    class_names=("female", "male"),
)
"""Faces of celebrities with their gender, the classes of Talafha et al. 2023, Tables 4 and 5."""

CELEBA_ATTRIBUTES = ("Attractive", "Wearing_Lipstick", "Gray_Hair", "Bald", "Male", "Smiling")
"""The attributes of Table 6 of Talafha et al. 2023, of which the first 2, the first 4 or all 6 are used.

The paper names "Attractive", "Gray hair", "bald", "wearing lipstick", etc., and not which of them make 2, 4
and 6. The four it names come first, and of these the two that about half of the images have: 2 % show bald
and 4 % grey-haired people, so that always answering "no" would look like 97 % accuracy. "Male", the label of
the paper's other tables, and "Smiling", as frequent as its opposite and tied to neither sex nor age, complete
them.
"""

CELEBA_2, CELEBA_4, CELEBA_6 = (
    replace(
        CELEBA,
        name=f"celeba-{count}",
        num_classes=2**count,
        attributes=CELEBA_ATTRIBUTES[:count],
        class_names=(),
    )
    for count in (2, 4, 6)
)

DATASETS: Mapping[str, Dataset] = MappingProxyType(
    {
        dataset.name: dataset
        for dataset in (DIGITS, MNIST, FASHION_MNIST, CELEBA, CELEBA_2, CELEBA_4, CELEBA_6)
    }
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
