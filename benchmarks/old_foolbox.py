"""Attack with an older foolbox, the way its users called it, to explain numbers of papers that used it.

The paper on denoised internal models used foolbox 3.2.1. Get it beside the installed one, and say where:

    pip install --no-deps --target old foolbox==3.2.1
    python benchmarks/old_foolbox.py vanilla_cnn.net DDN Inversion --foolbox old

For each attack two shares of images that stand are printed: by foolbox's account (`success`, of images that
it has clipped to the budget), and by the distance of what the attack found before anything was clipped.
"""

import argparse
import importlib
import sys
import time
from pathlib import Path
from typing import Any

import torch
from standing import predict, share

from sleepdefense.attacks.distance import distances
from sleepdefense.attacks.foolbox_import import fb as installed
from sleepdefense.data import load_data
from sleepdefense.evaluation.metrics import within
from sleepdefense.models import awake_from_file

BUDGETS = {"L2": 1.5, "Linf": 0.3, "L1": 8.0, "L0": 12.0}
EVERYWHERE = {
    "Inversion": "InversionAttack",
    "BinarySearchContrastReduction": "BinarySearchContrastReductionAttack",
    "LinearSearchContrastReduction": "LinearSearchContrastReductionAttack",
    "LinearSearchGaussianBlur": "GaussianBlurAttack",
    "LinearSearchBlendedUniformNoise": "LinearSearchBlendedUniformNoiseAttack",
}
ATTACKS = {
    "L2:DDN": "DDNAttack",
    "L2:BIM": "L2BasicIterativeAttack",
    "L2:PGD": "L2ProjectedGradientDescentAttack",
    "L2:DeepFool": "L2DeepFoolAttack",
    "Linf:DeepFool": "LinfDeepFoolAttack",
    "L2:Boundary": "BoundaryAttack",
    "L2:BrendelBethge": "L2BrendelBethgeAttack",
    "L1:BrendelBethge": "L1BrendelBethgeAttack",
    "L0:SaltAndPepperNoise": "SaltAndPepperNoiseAttack",
    **{f"{norm}:{name}": kind for norm in ("L2", "Linf", "L1") for name, kind in EVERYWHERE.items()},
}


def load_foolbox(folder: Path | None) -> Any:
    """Return the foolbox in a folder, or the installed one."""
    if folder is None:
        return installed
    for name in [name for name in sys.modules if name.partition(".")[0] == "foolbox"]:
        del sys.modules[name]
    sys.path.insert(0, str(folder))
    return importlib.import_module("foolbox")


def make_attack(fb: Any, name: str, steps: int | None) -> Any:
    """Return an attack with its own defaults, in the norm that it is called by."""
    norm, _, kind = name.partition(":")
    arguments = {} if steps is None else {"steps": steps}
    if kind in EVERYWHERE:
        arguments["distance"] = getattr(fb.distances, norm.lower())
    return getattr(fb.attacks, ATTACKS[name])(**arguments)


def main() -> None:
    """Print a line for each attack."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("network", type=Path)
    parser.add_argument("attacks", nargs="+", help=f"of {', '.join(ATTACKS)}, or the name in every norm")
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--limit", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--foolbox", type=Path, help="folder that holds another foolbox")
    parser.add_argument("--steps", type=int, help="steps of the attack, instead of its default")
    arguments = parser.parse_args()
    fb = load_foolbox(arguments.foolbox)
    model = awake_from_file(arguments.network)
    _, test = load_data(arguments.data, limit=1, test_limit=arguments.limit)
    labels = test.labels.numpy()
    clean = predict(model, test.images) == labels
    print(f"foolbox {fb.__version__}, {len(labels)} images, clean {100 * clean.mean():.1f} %")
    for name in ATTACKS:
        if name in arguments.attacks or name.partition(":")[2] in arguments.attacks:
            torch.manual_seed(arguments.seed)
            attack_and_print(fb, make_attack(fb, name, arguments.steps), name, model, test, clean)


def attack_and_print(fb, attack, name, model, test, clean) -> None:
    """Attack all images in one batch, and print what stands."""
    norm, labels = name.partition(":")[0], test.labels.numpy()
    budget = BUDGETS[norm]
    begin = time.process_time()
    # foolbox cannot clip in L0
    asked = None if norm == "L0" else budget
    raw, clipped, success = attack(
        fb.PyTorchModel(model, bounds=(0, 1)), test.images, test.labels, epsilons=asked
    )
    seconds = time.process_time() - begin
    moved = distances(test.images, raw, norm).numpy()
    fell = (predict(model, raw) != labels) & within(moved, budget)
    print(
        f"{name} {budget:g}: by foolbox's account {share(clean & ~success.numpy())}, "
        f"by distance {share(clean & ~fell)}; "
        f"clipped images move {distances(test.images, clipped, norm).median():.3g} (median); {seconds:.0f} s",
        flush=True,
    )


if __name__ == "__main__":
    main()
