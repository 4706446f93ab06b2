"""Attack with Pointwise of foolbox 2.4.0, to explain numbers of papers that used it.

Versions 3.0 to 3.2 have no Pointwise, so the paper on denoised internal models took it from 2.4.0. Get that
beside the installed one, and say where:

    pip download --no-deps --no-binary :all: foolbox==2.4.0
    pip install --no-deps --target older foolbox-2.4.0.tar.gz
    python benchmarks/old_pointwise.py vanilla_cnn.net --foolbox older

Its own start is noise of salt and pepper. Printed is, after each restart, what share of the images stands: no
image found so far is wrong and within 12 pixels of the true one.
"""

import argparse
import collections
import collections.abc
import importlib
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import scipy.ndimage
from standing import predict, share

from sleepdefense.data import load_data
from sleepdefense.models import awake_from_file

BUDGET = 12


def load_foolbox(folder: Path) -> Any:
    """Return foolbox 2.4.0 in a folder, under the Python and NumPy of today."""
    for name in ("Callable", "Iterable", "Mapping", "Sequence"):
        setattr(collections, name, getattr(collections.abc, name))
    for name, kind in (("bool", np.bool_), ("float", float), ("int", int), ("object", object)):
        if name not in vars(np):
            setattr(np, name, kind)
    for name in [name for name in sys.modules if name.partition(".")[0] == "foolbox"]:
        del sys.modules[name]
    sys.modules.setdefault("scipy.ndimage.filters", scipy.ndimage)
    sys.path.insert(0, str(folder))
    return importlib.import_module("foolbox")


def main() -> None:
    """Print a line for each restart."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("network", type=Path)
    parser.add_argument("--foolbox", type=Path, required=True, help="folder that holds foolbox 2.4.0")
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--limit", type=int, default=200)
    parser.add_argument("--batch-size", type=int, default=20)
    parser.add_argument("--restarts", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    fb = load_foolbox(arguments.foolbox)
    fb.set_seeds(arguments.seed)
    model = awake_from_file(arguments.network)
    _, test = load_data(arguments.data, limit=1, test_limit=arguments.limit)
    images, labels = test.images.numpy(), test.labels.numpy()
    clean = predict(model, test.images) == labels
    print(f"foolbox {fb.__version__}, {len(labels)} images, clean {100 * clean.mean():.1f} %")
    asked = fb.models.PyTorchModel(model.eval(), bounds=(0, 1), num_classes=10, device="cpu")
    attack = fb.attacks.PointwiseAttack(asked, distance=fb.distances.L0)
    fewest = np.full(len(labels), np.inf)
    begin = time.process_time()
    for restart in range(arguments.restarts):
        for first in range(0, len(labels), arguments.batch_size):
            rows = slice(first, first + arguments.batch_size)
            found = attack(images[rows], labels[rows], unpack=False)
            fewest[rows] = np.minimum(fewest[rows], [changed_pixels(one) for one in found])
        print(
            f"restart {restart + 1}: {share(clean & (fewest > BUDGET))} stand; "
            f"median {np.median(fewest):g} pixels, none found for {np.isinf(fewest).sum()}; "
            f"{time.process_time() - begin:.0f} s",
            flush=True,
        )


def changed_pixels(found) -> float:
    """Return how many pixels an attack has changed, infinity if it found nothing."""
    return np.inf if found.perturbed is None else float((found.perturbed != found.unperturbed).sum())


if __name__ == "__main__":
    main()
