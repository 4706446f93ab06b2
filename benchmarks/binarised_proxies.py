"""What each stand-in of a binarised network finds, and what the papers' way of using them leaves.

    python benchmarks/binarised_proxies.py vanilla_cnn.net "L2:DDN(steps=10)" L2:BIM --limit 50

For each attack: the share of images that stand against the best of the five sigmoids alone, against all five,
and against all seven stand-ins, before and after changed pixels are put back or just over the threshold.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from standing import predict, share

from sleepdefense.attacks import parse_attack
from sleepdefense.attacks.build import attack_batch
from sleepdefense.attacks.refinement import refine_binarised
from sleepdefense.data import load_data
from sleepdefense.evaluation.metrics import distances, within
from sleepdefense.models import Binarised, awake_from_file
from sleepdefense.models.binarised import BinarisesInput


def main() -> None:
    """Print two lines for each attack."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("network", type=Path)
    parser.add_argument("attacks", nargs="+")
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--limit", type=int, default=50)
    parser.add_argument("--threshold", type=float, default=0.5)
    arguments = parser.parse_args()
    network = awake_from_file(arguments.network)
    model = network if isinstance(network, BinarisesInput) else Binarised(network, arguments.threshold)
    _, test = load_data(arguments.data, limit=1, test_limit=arguments.limit)
    clean = predict(model, test.images) == test.labels.numpy()
    for text in arguments.attacks:
        spec = parse_attack(text)
        raw, refined = {}, {}
        for name, member in model.proxies().items():
            batch = attack_batch(
                spec, member, test.images, test.labels, index=torch.arange(len(test)), seed=0
            )
            moved = refine_binarised(test.images, batch.images, model.threshold)
            for found, images in ((raw, batch.images), (refined, moved)):
                distance = distances(test.images, images, spec.norm).numpy()
                is_wrong = predict(model, images) != test.labels.numpy()
                found[name] = clean & ~(is_wrong & within(distance, spec.epsilon))
        for title, found in (("as found", raw), ("refined", refined)):
            sigmoids = {name: stands for name, stands in found.items() if name.startswith("sigmoid")}
            best = min(sigmoids, key=lambda name: sigmoids[name].sum())
            print(
                f"{spec.label}, {title}: best sigmoid ({best}) {share(sigmoids[best])}; all five sigmoids "
                f"{share(np.all(list(sigmoids.values()), axis=0))}; all stand-ins "
                f"{share(np.all(list(found.values()), axis=0))}",
                flush=True,
            )


if __name__ == "__main__":
    main()
