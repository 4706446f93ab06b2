"""What a Defense-VAE gains from more training images and more steps: accuracy after every epoch.

    python benchmarks/purifier_curves.py CLASSIFIER.h5 FOLDER [--images 10000] [--epochs 8] [--attacks ...]
        [--width 16] [--kl-weight 0] [--batch-size 64] [--rate 0.001] [--pairing sample]

CLASSIFIER.h5 is an MNIST classifier from `sleepdefense train` or `reproduce talafha2023`. Every epoch prints
the accuracy of the purified classifier on the first 1,000 test images, clean and attacked through the
classifier alone (FGSM and RAND+FGSM, 0.3). An image counts if it is right, whatever became of it without the
attack. A run that was stopped goes on where it was, if it is started again with the same FOLDER.
"""

import time
from pathlib import Path

import click
import torch
from torch import Tensor, nn

from sleepdefense.attacks import parse_attacks
from sleepdefense.attacks.build import perturb
from sleepdefense.attacks.pairs import adversarial_pairs
from sleepdefense.data import ImageSet, load_data
from sleepdefense.models import awake_from_file, build_model
from sleepdefense.training import TrainConfig, train

TESTED = "FGSM:0.3,RAND+FGSM:0.3"


@click.command()
@click.argument("classifier", type=click.Path(path_type=Path, exists=True))
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--images", default=10_000, show_default=True)
@click.option("--epochs", default=8, show_default=True)
@click.option("--attacks", default=TESTED, show_default=True)
@click.option("--width", default=16, show_default=True)
@click.option("--kl-weight", default=0.0, show_default=True)
@click.option("--batch-size", default=64, show_default=True)
@click.option("--rate", default=1e-3, show_default=True)
@click.option("--pairing", default="sample", show_default=True)
def main(
    classifier: Path,
    folder: Path,
    images: int,
    epochs: int,
    attacks: str,
    width: int,
    kl_weight: float,
    batch_size: int,
    rate: float,
    pairing: str,
) -> None:
    """Train and print one row for each epoch."""
    folder.mkdir(parents=True, exist_ok=True)
    defended = awake_from_file(classifier)
    training, test = load_data("mnist", limit=images, test_limit=1_000)
    shown = attacked_images(defended, test)
    right = (defended(test.images).argmax(1) == test.labels).float().mean()
    print(
        f"classifier alone {100 * right:.1f} %; {len(training)} images, width {width}, {attacks}", flush=True
    )
    pairs = adversarial_pairs(training, defended, attacks, cache=folder / "pairs.h5")
    model = build_model("defense-vae", {"width": width, "latent": 128, "kl_weight": kl_weight}, seed=0)
    print(f"| pairs seen | loss | {' | '.join(shown)} | CPU s |\n{'| --- ' * (len(shown) + 3)}|", flush=True)
    for epoch in range(1, epochs + 1):
        config = TrainConfig(
            epochs=epoch, batch_size=batch_size, learning_rate=rate, device="cpu", pairing=pairing
        )
        found = train(model, pairs, config, checkpoint=folder / "training.h5", resume=True)
        seen = epoch * (len(pairs) if pairing == "all" else len(training))
        cells = [f"{100 * accuracy(found.model, defended, each, test):.1f}" for each in shown.values()]
        print(
            f"| {seen} | {found.losses[-1]:.2f} | {' | '.join(cells)} | {time.process_time():.0f} |",
            flush=True,
        )


def attacked_images(classifier: nn.Module, test: ImageSet) -> dict[str, Tensor]:
    """Return the clean images and those of each attack on the classifier."""
    index = torch.arange(len(test))
    found = {
        spec.label: perturb(spec, classifier, test.images, test.labels, index=index, seed=0)
        for spec in parse_attacks(TESTED)
    }
    return {"clean": test.images, **found}


@torch.no_grad()
def accuracy(purifier: nn.Module, classifier: nn.Module, image: Tensor, test: ImageSet) -> float:
    """Return the part of the images that the classifier has right behind the purifier."""
    return float((classifier(purifier(image)).argmax(1) == test.labels).float().mean())


if __name__ == "__main__":
    main()
