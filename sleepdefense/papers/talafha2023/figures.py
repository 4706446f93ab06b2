"""Figures 2 and 3: rows of images, one row a method."""

from collections.abc import Mapping

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from sleepdefense.attacks import parse_attack, perturb
from sleepdefense.data import ImageSet
from sleepdefense.data.catalogue import find_dataset
from sleepdefense.papers.outcome import Outcome
from sleepdefense.papers.recipe import Job, Recipe
from sleepdefense.papers.talafha2023.networks import load_pantry, make_gan, make_target
from sleepdefense.papers.talafha2023.plan import ATTACK_NAMES, plan_for
from sleepdefense.papers.talafha2023.table5 import make_substitute
from sleepdefense.report.canvas import INK, as_rgb, in_our_look, png_bytes

SHOWN = 10
"""Images in a row: the first so many of the test set, none chosen by hand."""
SHOWN_TARGET = "C1"


def cook_figure2(job: Job) -> Outcome:
    """Show what each method makes of images under the three attacks on a classifier."""
    plan = plan_for(job.scale, job.dataset)
    pantry, seed = load_pantry(job, plan), job.seeds[0]
    target = make_target(job, plan, pantry, SHOWN_TARGET, seed)
    purifiers = {"Defense-VAE": target.purified.before, "Defense-VAE-Sleep": target.purified.after}
    gan = make_gan(job, plan, pantry, seed)
    if gan is not None:
        purifiers["Defense-GAN"] = gan
    blocks = {
        name: image_rows(pantry.test.take(SHOWN), target.classifier, text, purifiers, seed=seed)
        for name, text in zip(ATTACK_NAMES, plan.attacks, strict=True)
    }
    return _drawn(job, "figure2.png", f"Attacks on {SHOWN_TARGET}", blocks)


def cook_figure3(job: Job) -> Outcome:
    """Show what Defense-VAE makes of images under FGSM from substitutes."""
    plan = plan_for(job.scale, job.dataset)
    pantry, seed = load_pantry(job, plan, asked=plan.asked), job.seeds[0]
    target = make_target(job, plan, pantry, SHOWN_TARGET, seed)
    purifiers = {"Defense-VAE": target.purified.before, "Defense-VAE-Sleep": target.purified.after}
    blocks = {}
    for name in ("C1", "C4"):
        surface = make_substitute(job, plan, pantry, target, name, seed)
        rows = image_rows(pantry.test.take(SHOWN), surface, plan.attacks[0], purifiers, seed=seed)
        blocks[f"FGSM from {name}"] = rows
    return _drawn(job, "figure3.png", f"Attacks on {SHOWN_TARGET} from substitutes", blocks)


@torch.no_grad()
def image_rows(
    test: ImageSet, surface: nn.Module, attack: str, purifiers: Mapping[str, nn.Module], *, seed: int
) -> dict[str, Tensor]:
    """Return clean and attacked images, and what each purifier makes of these.

    Args:
        test: Images and labels.
        surface: What the attack goes through.
        attack: As `parse_attack` reads it.
        purifiers: By name.
        seed: Of the random parts of the attack.

    Returns:
        Heading -> (batch, channel, height, width).
    """
    attacked = perturb(
        parse_attack(attack), surface, test.images, test.labels, index=torch.arange(len(test)), seed=seed
    )
    purified = {name: purifier(attacked) for name, purifier in purifiers.items()}
    return {"clean": test.images, "attacked": attacked, **purified}


def _drawn(job: Job, name: str, title: str, blocks: Mapping[str, Mapping[str, Tensor]]) -> Outcome:
    """Draw and write a figure; one with faces stays in the folder of the job, out of the outcome."""
    path = job.folder / name
    path.write_bytes(rows_png(f"{title}; {job.dataset}, scale {job.scale}", blocks))
    if find_dataset(job.dataset).attributes:
        return Outcome(
            findings=(f"'{name}' shows faces, so it is not published: it lies in the folder of the job.",)
        )
    return Outcome(figures=(path,))


@in_our_look
def rows_png(title: str, blocks: Mapping[str, Mapping[str, Tensor]]) -> bytes:
    """Return blocks of rows of images as PNG; equal images give equal bytes.

    Args:
        title: Above all.
        blocks: Heading of a block -> heading of a row -> (batch, channel, height, width), in [0, 1].
    """
    lines = sum(len(rows) for rows in blocks.values())
    count = max(len(images) for rows in blocks.values() for images in rows.values())
    cell, left, top = 0.42, 1.35, 0.34
    height = top + lines * cell + 0.3 * len(blocks)
    drawing = Figure(figsize=(left + count * cell + 0.05, height))
    width = left + count * cell + 0.05
    drawing.text(0.05 / width, 1 - 0.2 / height, title, fontsize=8.5, weight="bold", color=INK, va="center")
    y = height - top
    for block, rows in blocks.items():
        y -= 0.26
        drawing.text(0.05 / width, (y + 0.08) / height, block, fontsize=8, weight="bold", color=INK)
        for heading, images in rows.items():
            y -= cell
            drawing.text(0.05 / width, (y + cell / 2) / height, heading, fontsize=7.5, color=INK, va="center")
            for place, image in enumerate(images):
                box = ((left + place * cell) / width, y / height, cell * 0.94 / width, cell * 0.94 / height)
                axes = drawing.add_axes(box)
                axes.imshow(as_rgb(image.cpu().numpy()), interpolation="nearest")
                axes.set_axis_off()
        y -= 0.04
    return png_bytes(drawing, dpi=200, background="white")


FIGURE2 = Recipe(
    paper="talafha2023",
    kind="figure",
    number=2,
    title="What the defences make of attacked images",
    datasets=("mnist", "fashion-mnist", "celeba", "digits"),
    cook=cook_figure2,
)
FIGURE3 = Recipe(
    paper="talafha2023",
    kind="figure",
    number=3,
    title="What Defense-VAE makes of images attacked from substitutes",
    datasets=("mnist", "fashion-mnist", "celeba", "digits"),
    cook=cook_figure3,
)
