"""`sleepdefense train`: the awake phase of one network."""

import json
from pathlib import Path

import rich_click as click

from sleepdefense.cli import options
from sleepdefense.cli.progress import progress_bar
from sleepdefense.cli.settings import parse_settings


@click.command(name="train")
@click.argument("model")
@options.out("Checkpoint to write.")
@options.data
@click.option(
    "--classifier", type=options.EXISTING_FILE, help="Purifiers: checkpoint of the attacked network."
)
@click.option(
    "--attacks",
    default="quick-training",
    show_default=True,
    help="Purifiers: attacks, or a profile, whose images it learns to purify; 'none' for clean images.",
)
@click.option(
    "--pairing",
    type=click.Choice(["sample", "all"]),
    default="sample",
    show_default=True,
    help="Purifiers: each image once an epoch in one variant, or in all.",
)
@click.option(
    "--epochs", type=click.IntRange(min=1), default=5, show_default=True, help="Passes over the images."
)
@click.option(
    "--batch-size", type=click.IntRange(min=2), default=128, show_default=True, help="Images a step."
)
@click.option("--learning-rate", type=float, default=1e-3, show_default=True, help="Of Adam.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="A setting of the model.")
@click.option(
    "--precision",
    type=click.Choice(["no", "bf16", "fp16"]),
    default="no",
    show_default=True,
    help="Mixed precision, on a GPU.",
)
@click.option(
    "--mode",
    type=click.Choice(["plain", "adversarial", "saturated"]),
    default="plain",
    show_default=True,
    help="Classifiers: on the images, on images attacked anew in every step, or under a penalty that grows.",
)
@click.option(
    "--how",
    multiple=True,
    metavar="NAME=VALUE",
    help="A setting of the mode. adversarial: epsilon, steps, step_size, random_start, alpha, ramp, clip. "
    "saturated: penalty, readout, tolerance, patience, and of the annealing: maximum, minimum, increments, "
    "epochs, wait, shape.",
)
@click.option("--start", type=options.EXISTING_FILE, help="Other modes than plain: checkpoint to begin with.")
@click.option(
    "--held-out",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    help="Saturated: the last so many training images judge instead.",
)
@options.seed
@options.device
@options.threads
@options.as_json
def command(
    model: str,
    out: Path,
    resume: bool,
    force: bool,
    data_name: str,
    data_dir: Path | None,
    limit: int | None,
    classifier: Path | None,
    attacks: str,
    pairing: str,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    settings: tuple[str, ...],
    precision: str,
    mode: str,
    how: tuple[str, ...],
    start: Path | None,
    held_out: int,
    seed: int,
    device: str,
    threads: int | None,
    as_json: bool,
) -> None:
    """Train MODEL and write a checkpoint; `sleepdefense models` lists the names.

    A classifier trains on the images. A purifier learns to turn attacked images back into clean ones, so it
    needs the checkpoint of the classifier that is attacked. The state after every epoch lies beside the
    checkpoint; --resume goes on from there and ends with the same bytes.

    In the mode "adversarial" the images are attacked by 40 steps within 0.3, as Madry et al. did; steps=1 is
    the fast gradient sign, and alpha is the share of the loss that clean images keep.

    In the mode "saturated" the accuracy on held-out images is watched while the penalty grows: what is
    written is the network of the largest penalty that cost no more than the tolerance.

    \b
    Example: sleepdefense train vanilla-cnn --data mnist --epochs 2 --out classifier.h5
    Example: sleepdefense train dim --data mnist --epochs 10 --out dim.h5
    Example: sleepdefense train madry --data mnist --mode adversarial --how steps=7 --out madry.h5
    Example: sleepdefense train defense-vae --data mnist --classifier classifier.h5 --out vae.h5
    Example: sleepdefense train saturating-sigmoid-mlp --mode saturated --how maximum=1 --out saturated.h5
    """
    from sleepdefense.config import ModelConfig, PairsConfig
    from sleepdefense.data import load_data
    from sleepdefense.pipeline import Context, train_step
    from sleepdefense.pipeline.saturating import train_in_mode

    train, _ = load_data(data_name, data_dir=data_dir, limit=limit)
    config = ModelConfig(
        model=model,
        settings=parse_settings(settings),
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
    )
    if mode == "plain" and (how or start is not None):
        raise click.UsageError("--how and --start belong to the modes adversarial and saturated")
    with progress_bar() as progress:
        context = Context(
            command=options.command_line(),
            resume=resume,
            force=force,
            device=device,
            threads=threads,
            progress=progress,
        )
        if mode == "plain":
            trained = train_step(
                config,
                train,
                out,
                context,
                seed=seed,
                pairs=None if attacks == "none" else PairsConfig(attacks=attacks, pairing=pairing),
                classifier=classifier,
                cache=out.with_name(f"{out.stem}.pairs.h5"),
                device=device,
                precision=precision,
            )
        else:
            trained = train_in_mode(
                mode,
                config,
                train,
                out,
                context,
                seed=seed,
                settings=parse_settings(how),
                start=start,
                held_out=held_out,
                precision=precision,
            )
    facts = {"out": str(out), "model": trained.name, "settings": trained.settings, "images": len(train)}
    click.echo(json.dumps(facts) if as_json else f"{out}: {trained.name}, trained on {len(train)} images")
