"""`sleepdefense eval`: attack a network and count what it still gets right."""

import json
from pathlib import Path

import rich_click as click

from sleepdefense.cli import options
from sleepdefense.cli.progress import progress_bar


@click.command(name="eval")
@click.argument("checkpoint", type=options.EXISTING_FILE)
@options.out("File for every prediction and distance (HDF5); a summary (JSON) beside it.", required=False)
@options.data
@click.option(
    "--classifier", type=options.EXISTING_FILE, help="Checkpoint that classifies what a purifier makes."
)
@click.option(
    "--attacks",
    default="FGSM,RAND+FGSM,PGD,CW,GaussianNoise,GaussianBlur,SaltAndPepper",
    show_default=True,
    help="Attacks with commas between, as in 'FGSM:0.1,PGD(steps=100)', or a profile.",
)
@click.option(
    "--threat-model",
    type=click.Choice(["all", "oblivious", "white-box"]),
    default="all",
    show_default=True,
    help="What the attack sees: the classifier only, or everything.",
)
@click.option(
    "--batch-size", type=click.IntRange(min=1), default=250, show_default=True, help="Images at once."
)
@click.option(
    "--format",
    "layout",
    type=click.Choice(["text", "markdown", "csv", "latex"]),
    default="text",
    show_default=True,
    help="How the table is printed.",
)
@options.seed
@options.threads
@options.as_json
def command(
    checkpoint: Path,
    out: Path | None,
    resume: bool,
    force: bool,
    data_name: str,
    data_dir: Path | None,
    limit: int | None,
    classifier: Path | None,
    attacks: str,
    threat_model: str,
    batch_size: int,
    layout: str,
    seed: int,
    threads: int | None,
    as_json: bool,
) -> None:
    r"""Attack the network in CHECKPOINT on test images; a purifier stands in front of --classifier.

    A purifier is attacked in two ways: by an attack that sees the classifier only ("oblivious", what papers
    call white-box), and by one that goes through both ("white-box").

    \b
    Example: sleepdefense eval woken.h5 --classifier classifier.h5 --data mnist --limit 500 --out results.h5
    """
    from sleepdefense.pipeline import evaluate_step

    with progress_bar() as progress:
        table = evaluate_step(
            checkpoint,
            classifier=classifier,
            out=out,
            attacks=attacks,
            threat_model=threat_model,
            data_name=data_name,
            data_dir=data_dir,
            limit=limit,
            batch_size=batch_size,
            seed=seed,
            resume=resume,
            force=force,
            progress=progress,
        )
    if as_json:
        click.echo(json.dumps(table.summary(), indent=1))
    elif layout == "text":
        click.echo(str(table))
    else:
        click.echo({"markdown": table.markdown, "csv": table.csv, "latex": table.latex}[layout]())
