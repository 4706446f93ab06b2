"""What a Defense-GAN gains from more steps: accuracy every few epochs.

    python benchmarks/gan_curves.py CLASSIFIER.h5 FOLDER [--images 10000] [--epochs 60] [--every 10]
        [--width 16] [--latent 64] [--critic-steps 2] [--batch-size 64] [--rate 0.0005]
        [--steps 60] [--restarts 4]

CLASSIFIER.h5 is an MNIST classifier from `sleepdefense train` or `reproduce talafha2023`. Every few epochs it
prints the accuracy of the purified classifier on the first 200 test images, clean and attacked through the
classifier alone (FGSM 0.3); how long the latents are that the search finds, where training draws those of
sqrt(latent); and how far the purified images are from what was to be purified. "On the shell" the same search
looks among latents of that length only. A run that was stopped goes on where it was, if it is started again
with the same FOLDER; the state that `reproduce` leaves beside a Defense-GAN (defense-gan.training.h5) will
do, copied there as training.h5.
"""

import math
import time
from collections.abc import Callable
from pathlib import Path

import click
import torch
from torch import Tensor

from sleepdefense.attacks.build import perturb
from sleepdefense.attacks.parse import parse_attack
from sleepdefense.data import load_data
from sleepdefense.data.pairs import undisturbed_pairs
from sleepdefense.models import DefenseGAN, awake_from_file, build_model
from sleepdefense.models.latent_search import search_latent
from sleepdefense.training import TrainConfig, train


@click.command()
@click.argument("classifier", type=click.Path(path_type=Path, exists=True))
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--images", default=10_000, show_default=True)
@click.option("--epochs", default=60, show_default=True)
@click.option("--every", default=10, show_default=True)
@click.option("--width", default=16, show_default=True)
@click.option("--latent", default=64, show_default=True)
@click.option("--critic-steps", default=2, show_default=True)
@click.option("--batch-size", default=64, show_default=True)
@click.option("--rate", default=5e-4, show_default=True)
@click.option("--steps", default=60, show_default=True)
@click.option("--restarts", default=4, show_default=True)
def main(
    classifier: Path,
    folder: Path,
    images: int,
    epochs: int,
    every: int,
    width: int,
    latent: int,
    critic_steps: int,
    batch_size: int,
    rate: float,
    steps: int,
    restarts: int,
) -> None:
    """Train and print one row for every few epochs."""
    folder.mkdir(parents=True, exist_ok=True)
    defended = awake_from_file(classifier)
    training, test = load_data("mnist", limit=images, test_limit=200)
    index = torch.arange(len(test))
    attacked = perturb(parse_attack("FGSM:0.3"), defended, test.images, test.labels, index=index, seed=0)
    settings = {
        "width": width,
        "latent": latent,
        "critic_steps": critic_steps,
        "steps": steps,
        "restarts": restarts,
    }
    model = build_model("defense-gan", settings, seed=0)
    print(f"{len(training)} images, batches of {batch_size}, {settings}")
    print("| epochs | steps of the generator | search | clean | FGSM 0.3 | latents | error | CPU s |")
    print("| --: | --: | --- | --: | --: | --- | --- | --: |", flush=True)
    for epoch in range(every, epochs + 1, every):
        config = TrainConfig(epochs=epoch, batch_size=batch_size, learning_rate=rate, device="cpu")
        pairs = undisturbed_pairs(training)
        found = train(model, pairs, config, checkpoint=folder / "training.h5", resume=True).model
        assert isinstance(found, DefenseGAN)
        own = epoch * -(-len(training) // batch_size) // (critic_steps + 1)
        for name, generate, length in (
            ("as published", found.generate, 1.0),
            ("on the shell", on_shell(found), math.sqrt(latent)),
        ):
            cells: list[list[str]] = [[], [], []]
            for shown in (test.images, attacked):
                starts = length * torch.randn(restarts, latent, generator=torch.Generator().manual_seed(0))
                latents = search_latent(generate, shown, starts / math.sqrt(latent), found.search)
                with torch.no_grad():
                    purified = generate(latents)
                    right = (defended(purified).argmax(1) == test.labels).float().mean()
                cells[0].append(f"{100 * right:.1f}")
                cells[1].append(f"{latents.norm(dim=1).mean():.1f}")
                cells[2].append(f"{(purified - shown).square().mean():.4f}")
            words = " | ".join((" | ".join(cells[0]), ", ".join(cells[1]), ", ".join(cells[2])))
            print(f"| {epoch} | {own} | {name} | {words} | {time.process_time():.0f} |", flush=True)


def on_shell(model: DefenseGAN) -> Callable[[Tensor], Tensor]:
    """Return the generator behind a map of latents to the length that training draws on average."""
    length = math.sqrt(int(model.settings["latent"]))
    return lambda latent: model.generate(length * latent / latent.norm(dim=1, keepdim=True))


if __name__ == "__main__":
    main()
